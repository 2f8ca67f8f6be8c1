"""Commands as a user calls them: what they print, what they leave, what they refuse."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.affect_models import faces
from helpers.audited_run import make_run
from helpers.called import call
from helpers.data_set_copies import affectnet, class_folders, raf_db
from helpers.made_up_annotations import made_up_annotations

from ldl_fer.config import Config
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.evaluation.audit.suspicion import suspicion


def command(name, *arguments):
    """(exit code, standard output, standard error) of ldl-fer NAME."""
    done = call(name, *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


# --- audit


def test_audit_says_what_differs_and_how_good_the_rankings_are(tmp_path):
    run = make_run(tmp_path, count=30, held_out=6)
    (tmp_path / "images/face1.png").unlink()
    code, out, _ = command("audit", run.folder, f"--output={tmp_path}/page.html")
    assert code == 0
    samples = pd.read_csv(run.samples_file)
    shares = samples[[f"probability_{name.lower()}" for name in CLASS_NAMES]].to_numpy()
    given, clean = samples["expression"].to_numpy(), samples["clean_expression"].to_numpy()
    differ, wrong = (shares.argmax(axis=1) != given).sum(), (given != clean).sum()
    assert f"24 labels, {differ} of which the network would call otherwise." in out
    assert "6 rows were not trained on" in out
    first = np.argsort(-suspicion(shares, given), kind="stable")[:wrong]
    found = (given != clean)[first].sum()
    assert f"{found} of the {wrong} most suspicious are wrong" in out
    assert f"{tmp_path}/page.html (" in out and (tmp_path / "page.html").exists()
    assert "no picture: row 1: " in out


@pytest.mark.slow
def test_audit_wants_one_run(tmp_path):
    code, _, error = command("audit")
    assert code == 2
    assert error.endswith("error: give the run folder: ldl-fer audit RUN\n")
    code, _, error = command("audit", tmp_path)
    assert code == 2 and "holds no run" in error


# --- datasets


def test_datasets_says_what_comes_next_by_what_there_is(tmp_path):
    rows = [(f"{n}.jpg", n % 7, 0.5, -0.25) for n in range(14)]
    lists = affectnet(tmp_path / "affectnet", rows, rows[:7])
    code, out, error = command("datasets", "affectnet", f"--root={lists}", f"--output={tmp_path}/a")
    assert code == 0, error
    assert "Next:\n  ldl-fer train --preset=small" in out  # it has valence and arousal
    assert "Papers test on val here" in out
    one = ("raf_db", f"--root={raf_db(tmp_path / 'raf')}", "--split=test", f"--output={tmp_path}/b")
    code, out, _ = command("datasets", *one)
    assert code == 0 and out.endswith("Next: ldl-fer evaluate with a run's --run_dir.\n")


def test_datasets_divides_what_has_no_splits(tmp_path):
    files = [f"{name}/{n}.png" for name in CLASS_NAMES for n in range(5)]
    root = class_folders(tmp_path / "photos", *files)
    common = ("datasets", "class_folders", f"--root={root}", f"--output={tmp_path}/out")
    code, out, _ = command(*common)
    assert code == 0 and "There is no test set; --test_fraction=0.2 makes one." in out
    code, out, error = command(*common, "--test_fraction=0.2")
    assert code == 0, error
    assert "no test set" not in out
    # 7 classes of 5 pictures, a fifth of each for the test
    assert [len(pd.read_csv(tmp_path / f"out/{name}.csv")) for name in ("train", "test")] == [28, 7]
    record = json.loads((tmp_path / "out/dataset.json").read_text())
    assert (record["test_fraction"], record["seed"]) == (0.2, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("raf_db",), "--root is missing: ldl-fer datasets raf_db --root=FOLDER"),
        (("raf_db", "--image_dir=x"), "--image_dir: the pictures are files already; leave it out"),
        (("raf_db", "--test_fraction=0.5"), "there are splits already (train, test)"),
    ],
)
def test_datasets_refuses(tmp_path, arguments, words):
    name, *flags = arguments
    root = [f"--root={raf_db(tmp_path / 'raf')}"] if flags else []
    code, _, error = command("datasets", name, *root, f"--output={tmp_path}/out", *flags)
    assert code == 2 and words in error
    assert not (tmp_path / "out").exists()


# --- affect prototypes


@pytest.mark.slow
def test_affect_prototypes_of_classes_or_of_a_csv(tmp_path):
    cv2 = pytest.importorskip("cv2")
    from ldl_fer.networks.network import build_network
    from ldl_fer.training.run import Run

    config = Config().replace(backbone="small_cnn", image_size=32, run_dir=str(tmp_path / "run"))
    network = build_network(config.network, 32, 7)
    Run(tmp_path / "run").begin(config)
    network.save_weights(Run(tmp_path / "run").weights("best"))
    images, _ = faces(4, size=32)
    for row, image in enumerate(images):
        assert cv2.imwrite(str(tmp_path / f"{row}.png"), image)
    rows = "".join(f"{row}.png,{row}\n" for row in range(4))
    (tmp_path / "in.csv").write_text(f"subDirectory_filePath,expression\n{rows}")
    given = (f"--annotations={tmp_path}/in.csv", f"--image_dir={tmp_path}")
    words = ("affect", "prototypes", *given, f"--classifier={tmp_path}/run")
    code, out, error = command(*words, f"--output={tmp_path}/a.csv")
    assert code == 0, error
    assert "prototypes (Russell and Mehrabian 1977): Neutral (" in out
    assert "4 of 4 rows filled by prototypes of run sha256:" in out
    assert "not for reporting valence or arousal" in error
    made_up_annotations(40).write(tmp_path / "places.csv")
    code, out, _ = command(
        *words, f"--from_csv={tmp_path}/places.csv", f"--output={tmp_path}/b.csv"
    )
    assert code == 0 and "prototypes (class means of places.csv): Neutral (" in out
    both = [pd.read_csv(tmp_path / name)[["valence", "arousal"]] for name in ("a.csv", "b.csv")]
    assert np.isfinite(both).all() and not np.allclose(*both)


# --- faces


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--several=all", "--annotations={0}/in.csv"],
            "a label is one person's, and --several=all",
        ),
        (["--image_dir={0}/no"], "no: no such folder of pictures. Check --image_dir."),
        (["--image_dir={0}/empty"], "empty: no pictures in this folder. Check --image_dir."),
        (["--output_dir={0}", "--image_dir={0}/images"], "the pictures would be overwritten"),
        (["--output_dir={0}", "--annotations={0}/in.csv"], "in.csv would be overwritten"),
        (["--annotations={0}/no.csv"], "no.csv: 1 problem\n  cannot be read: No such file"),
        (
            ["--annotations={0}/nameless.csv"],
            "column subDirectory_filePath is missing (there are: a",
        ),
        (["--min_score=0.5"], "--min_score is of YuNet's faces"),
        ([], "no face in any of 1 pictures; {0}/out/faces.csv says why."),
        ([], "for small faces in large photos raise --longest_side=1280"),
    ],
)
def test_faces_refuses(tmp_path, flags, words):
    cv2 = pytest.importorskip("cv2")
    for folder in ("photos", "images", "empty"):
        (tmp_path / folder).mkdir()
    assert cv2.imwrite(str(tmp_path / "photos/a.png"), np.zeros([40, 40, 3], np.uint8))
    (tmp_path / "in.csv").write_text("subDirectory_filePath,expression\na.png,0\n")
    (tmp_path / "nameless.csv").write_text("a,expression\na.png,0\n")
    given = ["--image_dir={0}/photos", "--output_dir={0}/out", *flags]
    code, _, error = command("faces", *(flag.format(tmp_path) for flag in given))
    assert code == 2 and words.format(tmp_path) in error


# --- export


def test_export_fails_where_a_format_does(tmp_path, monkeypatch, capsys):
    from absl import flags

    from ldl_fer.inference.export import command as export
    from ldl_fer.inference.export import load_format, run_export

    kind = load_format("tflite")
    (tmp_path / "model.tflite").write_bytes(bytes(2_240_000))
    kept = run_export.Exported(kind, tmp_path)
    failed = run_export.Exported(kind, tmp_path, failure="differs by 0.5")
    given = {"run_dir": "r", "output_dir": None, "format": ["tflite"], "representative": None}
    given |= {"representative_images": 1, "data_license": "", "trust_model": False}
    monkeypatch.setattr(flags, "FLAGS", type("Given", (), given))
    monkeypatch.setattr("ldl_fer.inference.export.check_request", lambda *_: None)
    for exports, code in (([kept], 0), ([kept, failed], 1)):
        monkeypatch.setattr(
            "ldl_fer.inference.export.export_formats", lambda *_, answer=exports: answer
        )
        assert export.main() == code
    out, error = capsys.readouterr()
    assert f"{tmp_path}: 2.24 MB; allowed: {kind.tolerance}" in out
    assert error == "error: tflite: differs by 0.5\n"
