"""Makes a virtual environment with a set of requirements, or says in one sentence what is missing.

    python install.py          .venv, with the set for this Python
    python install.py oldest   .venv-oldest, with the oldest allowed packages
    python install.py newest   .venv-newest, with the newest

Runs under any Python 3, whatever its version: that version is the first thing it checks.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# In one call of pip: alone, the extras lift packages past what TensorFlow 2.15 bears.
PINNED = ["requirements.txt", "requirements-extras.txt"]
OLDEST = ["requirements-oldest.txt"]
NEWEST = ["requirements-newest.txt"]
# What is asked for -> Python -> its files.
SETS = {
    "": {"3.10": PINNED, "3.11": PINNED, "3.12": NEWEST},
    "oldest": {"3.10": OLDEST},
    "newest": {"3.12": NEWEST},
}
# What is asked for -> how to ask for it with another Python.
COMMANDS = {
    "": "make venv PYTHON=/path/to/python3.11",
    "oldest": "make test-oldest PYTHON_OLDEST=/path/to/python3.10",
    "newest": "make test-newest PYTHON_NEWEST=/path/to/python3.12",
}


def install(asked):
    """Returns what went wrong, or None."""
    found = "%d.%d" % sys.version_info[:2]
    sets, command = SETS[asked], COMMANDS[asked]
    wanted = " or ".join(", ".join(sets).rsplit(", ", 1))
    if found not in sets:
        return (
            "ldl_fer%s needs Python %s, and %s is Python %s, which its TensorFlow "
            "was not tried with. Install python%s and run '%s'."
            % (
                asked and " with the %s packages" % asked,
                wanted,
                sys.executable,
                found,
                command.rsplit("python", 1)[1],
                command,
            )
        )
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        return (
            "%s (Python %s) has no venv module. On Debian or Ubuntu: apt-get install "
            "python%s-venv, then run make again; or name another one by '%s'."
            % (sys.executable, found, found, command)
        )
    name = ".venv" + (asked and "-" + asked)
    print(
        "Making %s with Python %s; the installation takes a few minutes ..." % (name, found),
        flush=True,
    )
    try:
        venv.EnvBuilder(with_pip=True, clear=True).create(os.path.join(ROOT, name))
    except (OSError, subprocess.CalledProcessError) as error:
        return "Could not make %s: %s" % (name, error)
    pip = [os.path.join(ROOT, name, "bin", "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check"]
    packages = [word for file in sets[found] + ["requirements-dev.txt"] for word in ("-r", file)]
    for arguments in (packages, ["--no-deps", "--no-build-isolation", "-e", "."]):
        status = subprocess.call(pip + arguments, cwd=ROOT)
        if status:
            return "pip could not install %s (exit code %d); its message is above." % (
                " ".join(arguments),
                status,
            )
    return None


if __name__ == "__main__":
    asked = "".join(sys.argv[1:])
    problem = install(asked)
    if problem:
        sys.exit("make %s: %s" % (asked and "test-" + asked or "venv", problem))
