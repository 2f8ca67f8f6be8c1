"""ldl-fer faces, as a user calls it."""

import subprocess
import sys


def test_the_command(photos):
    command = [sys.executable, "-m", "ldl_fer", "faces", f"--image_dir={photos / 'photos'}"]
    done = subprocess.run(
        [*command, f"--output_dir={photos / 'out'}", "--size=32"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 4 pictures aligned" in done.stdout
    assert "several faces  in 1 pictures" in done.stdout
    assert "no box says which face is meant in 1 of them (the largest cut out):" in done.stdout
    assert "größe/two.bmp: 2 faces" in done.stdout
    assert "note: no face found in some pictures. YuNet's file as --detector" in done.stderr
    wrong = subprocess.run(
        [*command, f"--output_dir={photos / 'out'}", "--detector=absent.onnx"],
        capture_output=True,
        text=True,
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: absent.onnx cannot be read")
