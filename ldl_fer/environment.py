"""What a run was made with and on: environment.json."""

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

from ldl_fer.told_paths import told


def environment() -> dict:
    """Time, command, git commit, versions of Python and packages, devices, machine."""
    import cv2
    import numpy
    import pandas
    import sklearn
    import tensorflow as tf

    modules = (tf, numpy, pandas, sklearn, cv2)
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *map(told, sys.argv[1:])],
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "versions": {module.__name__: module.__version__ for module in modules},
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _git_commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    here = Path(__file__).parent
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
