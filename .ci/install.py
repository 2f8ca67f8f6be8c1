"""Makes a virtual environment with everything in its requirements, or says what is missing.

python .ci/install.py [FOLDER], with .venv, .venv-oldest or .venv-newest (see SETS) for FOLDER.
Runs under any Python 3, whatever its version: that version is the first thing it checks.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PINNED = ["requirements.txt", "requirements-extras.txt"]
NEWEST = ["requirements-newest.txt"]
# Folder: the variable of make that names its Python, and the requirements by Python's version.
SETS = {
    ".venv": ("PYTHON", {(3, 10): PINNED, (3, 11): PINNED, (3, 12): NEWEST}),
    ".venv-oldest": ("PYTHON_OLDEST", {(3, 10): ["requirements-oldest.txt"]}),
    ".venv-newest": ("PYTHON_NEWEST", {(3, 12): NEWEST}),
}


def main(folder=".venv", version=sys.version_info[:2]):
    """Makes the folder; what went wrong, as a sentence, or None."""
    variable, requirements = SETS[folder]
    found = "%d.%d" % version
    wanted = ["%d.%d" % each for each in sorted(requirements)]
    instead = "%s=/path/to/python%s" % (variable, "3.11" if "3.11" in wanted else wanted[0])
    if version not in requirements:
        return (
            "it needs Python %s, and %s is Python %s: TensorFlow with Keras 2 was tested with no "
            "other. Install one and add %s to make's command line."
            % (" or ".join(wanted), sys.executable, found, instead)
        )
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        return (
            "%s (Python %s) has no venv module. On Debian or Ubuntu: apt-get install "
            "python%s-venv, then run make again; or add %s to make's command line."
            % (sys.executable, found, found, instead)
        )
    print(
        "Making %s with Python %s and %s; the installation takes a few minutes ..."
        % (folder, found, requirements[version][0]),
        flush=True,
    )
    path = os.path.join(ROOT, folder)
    try:
        venv.EnvBuilder(with_pip=True, clear=True).create(path)
    except (OSError, subprocess.CalledProcessError) as error:
        return "it could not be made: %s" % error
    pip = [os.path.join(path, "bin", "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check"]
    packages = []  # In one call: requirements-extras.txt says why.
    for file in requirements[version] + ["requirements-development.txt"]:
        packages += ["-r", file]
    for arguments in (packages, ["--no-deps", "--no-build-isolation", "-e", "."]):
        status = subprocess.call(pip + arguments, cwd=ROOT)
        if status:
            return "pip could not install %s (exit code %d); its message is above." % (
                " ".join(arguments),
                status,
            )
    return None


if __name__ == "__main__":
    problem = main(*sys.argv[1:])
    if problem:
        sys.exit("make %s: %s" % ((sys.argv[1:] or [".venv"])[0], problem))
