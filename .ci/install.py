"""Makes .venv with everything in requirements.txt, or says in one sentence what is missing.

Runs under any Python 3, whatever its version: that version is the first thing it checks.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")


def main():
    found = "%d.%d" % sys.version_info[:2]
    if not (3, 10) <= sys.version_info[:2] <= (3, 11):
        return (
            "ldl_fer needs Python 3.10 or 3.11, and %s is Python %s: TensorFlow 2.15 and "
            "tensorflow-addons exist for no other. Install python3.11 and run "
            "'make venv PYTHON=/path/to/python3.11'." % (sys.executable, found)
        )
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        return (
            "%s (Python %s) has no venv module. On Debian or Ubuntu: apt-get install "
            "python%s-venv, then run make again; or name another one by "
            "'make venv PYTHON=/path/to/python3.11'." % (sys.executable, found, found)
        )
    print(
        "Making .venv with Python %s; the installation takes a few minutes ..." % found, flush=True
    )
    try:
        venv.EnvBuilder(with_pip=True, clear=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        return "Could not make .venv: %s" % error
    pip = [os.path.join(VENV, "bin", "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check"]
    packages = ["-r", "requirements.txt", "-r", "requirements-extras.txt"]  # in one call: see there
    for arguments in (packages, ["--no-deps", "--no-build-isolation", "-e", "."]):
        status = subprocess.call(pip + arguments, cwd=ROOT)
        if status:
            return "pip could not install %s (exit code %d); its message is above." % (
                arguments[-1],
                status,
            )
    return None


if __name__ == "__main__":
    problem = main()
    if problem:
        sys.exit("make venv: " + problem)
