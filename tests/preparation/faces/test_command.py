"""ldl-fer faces, as a user calls it."""

from helpers.called import call


def test_the_command(photos):
    command = ("faces", f"--image_dir={photos / 'photos'}", f"--output_dir={photos / 'out'}")
    done = call(*command, "--size=32")
    assert done.returncode == 0, done.stderr
    assert "2 of 4 pictures aligned" in done.stdout
    assert "several faces  in 1 pictures" in done.stdout
    assert "no box says which face is meant in 1 of them (the largest cut out):" in done.stdout
    assert "größe/two.bmp: 2 faces" in done.stdout
    assert "note: no face found in some pictures. YuNet's file as --detector" in done.stderr
    wrong = call(*command, "--detector=absent.onnx")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: absent.onnx cannot be read")
