"""ldl-fer datasets, as a user calls it."""

from helpers.called import call
from helpers.data_set_copies import class_folders, raf_db

from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.command import next_steps


def command(*arguments):
    return call("datasets", *arguments)


def test_absent_classes_are_named_with_the_flag(tmp_path):
    class_folders(tmp_path / "d", "happy/1.png", "sad/1.png", "fear/1.png")
    done = command(
        *("class_folders", f"--root={tmp_path / 'd'}", "--leave_out=fear"),
        f"--output={tmp_path / 'out'}",
    )
    assert "No picture of Neutral, Surprise, Fear, Disgust, Anger." in done.stdout, done.stderr
    assert "--class_names=Happy,Sad\n" in done.stdout


def test_a_doubtful_map_is_warned_of(tmp_path):
    class_folders(tmp_path / "d", "happy/1.png", "sad/1.png")
    done = command(
        *("class_folders", f"--root={tmp_path / 'd'}", "--map=happy=Fear"),
        f"--output={tmp_path / 'out'}",
    )
    assert done.returncode == 0
    assert "warning: folders are read otherwise than they are called: happy" in done.stderr


def test_the_next_commands_are_printed(tmp_path):
    root = raf_db(tmp_path / "raf")
    done = command("raf_db", f"--root={root}", f"--output={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert (
        f"ldl-fer affect predict --annotations={tmp_path}/out/train.csv "
        f"--image_dir={root} --output={tmp_path}/out/train_va.csv"
    ) in done.stdout
    assert done.stdout.count("affect predict") == 1  # a test set needs none
    assert "ldl-fer train --method=cross_entropy makes RUN" in done.stdout
    assert (
        f"ldl-fer train --preset=small --train_data_path={tmp_path}/out/train_va.csv" in done.stdout
    )
    assert (tmp_path / "out/train.csv").read_text().splitlines()[1] == (
        "Image/aligned/train_00001_aligned.jpg,3,,,train,1"  # 3 is Surprise; no valence, arousal
    )


def test_a_test_set_alone_needs_no_valence_arousal(tmp_path):
    root = raf_db(tmp_path / "raf")
    data_set = READERS["raf_db"].read(root, splits=("test",))
    text = next_steps(data_set, {"test": tmp_path / "test.csv"}, root, photos=False)
    assert text == "Next: ldl-fer evaluate with a run's --run_dir."


def test_folders_with_blanks_are_quoted(tmp_path):
    root = raf_db(tmp_path / "my raf")
    data_set = READERS["raf_db"].read(root)
    text = next_steps(data_set, {"train": tmp_path / "a b.csv"}, root, photos=False)
    assert f"'--train_image_dir={root}'" in text and f"'--annotations={tmp_path}/a b.csv'" in text
    assert "did you mean '--root=a b'?" in command("sfew", "a b").stderr


def test_mistakes_end_without_a_traceback(tmp_path):
    for arguments, text in (
        (("raf",), "name one data set: raf_db, affectnet, sfew, ferplus, fer2013, ck_plus, class"),
        (("sfew", f"--root={tmp_path}", "--min_votes=3"), "sfew does not use --min_votes"),
        (("sfew", tmp_path), f"did you mean --root={tmp_path}?"),
        (("sfew",), "--root is missing: ldl-fer datasets sfew --root=FOLDER"),
    ):
        done = command(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ") and text in done.stderr


def test_help_of_a_data_set_shows_its_layout():
    assert "fer2013new.csv    Usage, Image name, neutral" in command("ferplus", "--help").stdout
