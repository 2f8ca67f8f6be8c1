"""Every section as a smoke run, and the arithmetic on given numbers. No test looks at a time."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import made_up_set, report, size
from benchmarks.inference import FromSecond, inference
from benchmarks.input_rate import pipeline
from benchmarks.steps import steps_head, steps_resnet50, steps_small
from benchmarks.timing import Row, compare, median_ratio, rotated, row, take_turns, timed
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.records import Records
from ldl_fer.errors import InputError

PIXELS = 16
TINY = {"turns": 2, "progress": False}
MACHINE = {
    "cpu": "Abacus",
    "cores": 3,
    "gpus": [],
    "load": 0.5,
    "tensorflow": "2.15.1",
    "python": "3.11",
    "date": "today",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def config(folder):
    """The small preset with the least network there is in place of small_cnn and ResNet-50."""
    images = tf.keras.Input([PIXELS, PIXELS, 3])
    x = tf.keras.layers.Conv2D(4, 3, strides=4)(images)
    x = tf.keras.layers.GlobalAveragePooling2D()(tf.keras.layers.ReLU()(x))
    path = str(folder / "backbone.h5")
    tf.keras.Model(images, x).save(path)
    return PRESETS["small"].replace(backbone=path, image_size=PIXELS, pad=1, batch_size=8)


def pairs(rows):
    return [(r.variant, r.unit, r.target) for r in rows]


def sound(rows, section, per):
    """Asserts what holds for every row, whatever the machine."""
    assert {(r.section, r.per) for r in rows} == {(section, per)}
    for r in rows:
        assert 0 < r.seconds < np.inf and 0 < r.ratio < np.inf
        assert r.met == (None if r.target is None else r.ratio <= r.target)
        assert r.ratio == 1.0 or r.variant != r.unit
    return True


# The arithmetic.


def test_the_order_rotates():
    assert [rotated("abc", turn) for turn in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_each_variant_runs_once_a_turn_and_the_first_turn_does_not_count():
    runs = []

    def variant(name):
        def run():
            runs.append(name)
            return float(len(runs))  # so that a time says when it was taken

        return run

    seconds = take_turns({n: variant(n) for n in "abc"}, 3, "test", progress=False)
    assert "".join(runs) == "abc" + "bca" + "cab" + "abc"
    # a runs first, then 3rd of turn 1, 2nd of turn 2, 1st of turn 3: 3 + 3, 6 + 2, 9 + 1.
    assert {name: list(values) for name, values in seconds.items()} == {
        "a": [6, 8, 10],
        "b": [4, 9, 11],
        "c": [5, 7, 12],
    }


def test_the_ratio_is_the_median_of_the_turns_ratios():
    # 2/1, 3/2, 30/10 = 2, 1.5, 3: median 2. The ratio of medians would be 3/2, that of means 35/13.
    assert median_ratio([2, 3, 30], [1, 2, 10]) == 2.0


def test_a_machine_that_slows_down_leaves_the_ratio_alone():
    slow = np.array([1.0, 1.0, 5.0, 7.0])
    assert median_ratio(1.25 * slow, slow) == pytest.approx(1.25, abs=1e-12)


def test_timed_divides_by_the_count(monkeypatch):
    clock = iter([10.0, 16.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert timed(lambda: None, 4)() == 1.5  # (16 - 10) / 4


def test_rows_compare_with_the_unit_first_and_then_with_others():
    seconds = {"plain": np.array([1.0, 2.0]), "K 8": np.array([1.5, 3.0]), "K 16": np.array([3, 6])}
    targets = {
        ("K 8", "plain"): 1.5,
        ("K 16", "K 8"): 1.9,
        ("K 32", "K 8"): 1.1,  # not measured
        ("K 8", "K 16"): None,
    }
    assert compare("s", seconds, "plain", targets, "step") == [
        Row("s", "plain", 1.5, 1.0, "plain", None, None, "step"),
        Row("s", "K 8", 2.25, 1.5, "plain", 1.5, True, "step"),  # at most: equal is met
        Row("s", "K 16", 4.5, 3.0, "plain", None, None, "step"),
        Row("s", "K 16", 4.5, 2.0, "K 8", 1.9, False, "step"),
        Row("s", "K 8", 2.25, 0.5, "K 16", None, None, "step"),
    ]


def test_time_counts_from_the_second_batch():
    dataset = tf.data.Dataset.range(3)
    watched = FromSecond(dataset)
    assert int(watched.cardinality()) == 3
    batches = iter(watched)
    assert int(next(batches)) == 0 and watched.asked is None
    assert int(next(batches)) == 1 and watched.asked is not None
    assert [int(b) for b in batches] == [2]


# The report.

ROWS = [
    row("steps_small", "plain", 0.05, 1.0, "plain", None, "step"),
    row("steps_small", "bank K 8", 0.06, 1.2, "plain", 1.3, "step"),
    row("steps_small", "forward K 8", 0.2, 4.0, "plain", 3.1, "step"),
    row("pipeline", "decoding", 0.0001, 1.0, "decoding", None, "image"),
    row("size", "shards", 61.0, 4.25, "GB", 4.0, "stage"),
]


def test_the_table_says_what_is_met_and_what_is_missed():
    titles = {"steps_small": "A step.", "pipeline": "Input.", "size": "Large.", "inference": "Not."}
    text = report.table(MACHINE, titles, ROWS, {"inference": "OSError: disk full"})
    assert text.splitlines() == [
        "Abacus, 3 cores; load at the start 0.5",
        "TensorFlow 2.15.1, Python 3.11, today",
        "",
        "steps_small: A step.",
        "  plain         50.0 ms/step  1.000",
        "  bank K 8      60.0 ms/step  1.200  x plain  <= 1.3  met",
        "  forward K 8  200.0 ms/step  4.000  x plain  <= 3.1  MISSED",
        "",
        "pipeline: Input.",
        "  decoding  10,000 images/s  1.000",
        "",
        "size: Large.",
        "  shards  61.0 s  4.25 GB  of memory  <= 4  MISSED",
        "",
        "inference: Not.",
        "  FAILED: OSError: disk full",
        "",
        "1 of 3 targets met",
        "  missed: steps_small: forward K 8, 4.000 > 3.1",
        "  missed: size: shards, 4.25 GB > 4",
    ]


def test_the_json_holds_the_same(tmp_path):
    path = tmp_path / "new" / "benchmark.json"
    report.write_json(path, MACHINE, ROWS, {})
    content = json.loads(path.read_text())
    assert [Row(**r) for r in content["rows"]] == ROWS
    assert content["machine"] == MACHINE and content["failed"] == {}


def test_the_machine_is_named():
    here = report.machine()
    assert here["tensorflow"] == tf.__version__
    assert here["cores"] >= 1 and here["cpu"] and here["date"]


def test_a_section_that_fails_is_named_and_passed_over(tmp_path, monkeypatch, capsys):
    def broken(folder):
        """Breaks."""
        raise RuntimeError("no such luck")

    def works(folder, turns):
        """Works."""
        return [row("works", "a", float(turns), 1.0, "a", None, "step")]

    def mistaken(folder):
        """Is given nonsense."""
        raise InputError("no such file")

    made_up = {"broken": broken, "works": works, "mistaken": mistaken}
    monkeypatch.setattr(report, "SECTIONS", made_up)
    output = tmp_path / "benchmark.json"
    run = ["broken", "works"], tmp_path, output, {"works": {"turns": 5}}
    text, measured = report.run_sections(*run)
    assert not measured
    assert "FAILED: RuntimeError: no such luck" in text and "works: Works." in text
    assert "Traceback" in capsys.readouterr().err
    content = json.loads(output.read_text())
    assert content["failed"] == {"broken": "RuntimeError: no such luck"}
    assert [r["seconds"] for r in content["rows"]] == [5.0]
    with pytest.raises(InputError, match="no such file"):
        report.run_sections(["mistaken"], tmp_path, output, {})


# The made-up set.


def test_a_made_up_set_is_like_affectnet(tmp_path):
    rows, pixels = 2000, 20
    csv, images = made_up_set.make_up_set(tmp_path / "set", rows, pixels, progress=False)
    records = made_up_set.made_up_records(tmp_path, 300, pixels, 4, progress=False)
    assert isinstance(records, Records)
    assert (len(records), records.num_neighbors, records.image_size) == (300, 4, pixels)
    assert records.manifest.images_copied == 300  # as they are: nothing is encoded again
    table = np.genfromtxt(csv, delimiter=",", skip_header=1)
    labels, plane = table[:, 1].astype(int), table[:, 2:4]
    share = np.bincount(labels, minlength=7) / rows
    expected = np.array(made_up_set.AFFECTNET_COUNTS) / 283901
    # Four standard deviations of a share of 2,000 draws, sqrt(p (1 - p) / 2000), p <= 0.5: 0.045.
    assert np.abs(share - expected).max() < 0.045
    centers = np.stack([plane[labels == c].mean(axis=0) for c in (0, 1, 2)])
    # Prototypes of Neutral, Happy, Sad; the mean of >= 150 draws of deviation 0.26 is within 0.1.
    assert np.abs(centers - [[0, -0.05], [0.65, 0.3], [-0.55, -0.45]]).max() < 0.1
    assert len(list(images.glob("*/*.jpg"))) == rows
    assert sorted(p.name for p in images.iterdir()) == ["0000", "0001"]
    before = csv.stat().st_mtime_ns
    made_up_set.make_up_set(tmp_path / "set", rows, pixels, progress=False)
    assert csv.stat().st_mtime_ns == before


# The sections.


def test_steps_small_on_a_users_own_data(folder, config):
    csv, images = made_up_set.make_up_set(folder / "own", 24, PIXELS, progress=False)
    few = {"config": config, "neighbors": (8, 16), "forward": (), "data": str(csv)}
    rows = steps_small(folder, steps=1, image_dir=str(images), **few, **TINY)
    assert sound(rows, "steps_small", "step")
    assert pairs(rows) == [
        ("plain", "plain", None),
        ("bank K 8", "plain", 1.3),
        ("bank K 16", "plain", None),
        ("bank K 16", "bank K 8", 1.05),
    ]
    with pytest.raises(InputError, match="nowhere"):
        steps_small(folder, steps=1, image_dir=str(folder / "nowhere"), **few, **TINY)


def test_steps_of_a_larger_network(folder, config):
    few = {"neighbors": (8,), "forward": (8,), "rows": 40}
    rows = steps_resnet50(folder, steps=1, config=config, **few, **TINY)
    assert sound(rows, "steps_resnet50", "step")
    assert pairs(rows) == [
        ("plain", "plain", None),
        ("bank K 8", "plain", 1.08),
        ("forward K 8", "plain", 3.1),
    ]


def test_steps_head(folder, config):
    small = {"rows": 40, "inputs": 12, "units": 6, "neighbors": (8,)}
    rows = steps_head(folder, steps=1, config=config, **small, **TINY)
    assert sound(rows, "steps_head", "step")
    assert pairs(rows) == [
        ("plain", "plain", None),
        ("bank K 8", "plain", 2.5),
    ]


def test_pipeline(folder, config):
    rows = pipeline(folder, steps=2, cases={"16 px": config}, rows=40, **TINY)
    assert sound(rows, "pipeline", "image")
    assert pairs(rows) == [
        ("decoding, 16 px", "decoding, 16 px", None),
        ("plain, 16 px", "decoding, 16 px", 1 / 0.9),
        ("bank, 16 px", "decoding, 16 px", 1 / 0.9),
    ]


def test_inference(folder, config):
    rows = inference(folder, cases={"tiny": (config, 2)}, **TINY)
    assert sound(rows, "inference", "image")
    assert pairs(rows) == [
        ("bare forward pass, tiny", "bare forward pass, tiny", None),
        ("evaluation, tiny", "bare forward pass, tiny", 1.1),
        ("exported model, tiny", "bare forward pass, tiny", 1.1),
    ]


def test_size(folder, config):
    rows = size.size(folder, steps=1, rows=300, small_rows=60, config=config, **TINY)
    memory, steps = rows[:-2], rows[-2:]
    assert sound(steps, "size", "step")
    assert pairs(steps) == [
        ("step on 300 rows", "step on 60 rows, the few", 1.05),
        ("step on 60 rows, the few", "step on 60 rows, the few", None),
    ]
    assert [(r.variant, r.unit, r.target) for r in memory] == [
        ("300 rows read and checked", "GB", 4.0),
        ("neighbors, K 8", "GB", 4.0),
        ("shards written", "GB", 4.0),
        ("60 rows prepared beside", "GB", 4.0),
        ("3 steps trained on each", "GB", 4.0),  # (turns + 1) * steps
    ]
    peaks = [r.ratio for r in memory]
    assert peaks == sorted(peaks) and peaks[0] > 0.05  # TensorFlow alone has more than 50 MB
    left = {path.name for path in folder.iterdir() if path.name.startswith("tmp")}
    assert not left  # the records are gone, the pictures stay


def test_memory_is_that_of_the_process_itself():
    """400 MB held for a moment are seen ever after, but not by a process started meanwhile."""
    inner = "from benchmarks.memory import peak_memory; print(peak_memory())"
    outer = (
        f"import numpy, subprocess, sys\n{inner.partition(';')[0]}\n"
        "held = numpy.ones(50_000_000)\n"
        "child = subprocess.check_output([sys.executable, '-c', sys.argv[1]], text=True)\n"
        "del held\n"
        "print(child, peak_memory())"
    )
    result = subprocess.check_output([sys.executable, "-c", outer, inner], text=True)
    child, own = map(int, result.split())
    assert own > 400e6 and 1e6 < child < 200e6


# The command.


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True
    )


def test_the_command_lists_the_sections_there_are():
    from benchmarks.__main__ import NAMES

    assert tuple(report.SECTIONS) == NAMES
    assert all(report.title(name).endswith(".") for name in NAMES)


def test_the_command_refuses_a_section_there_is_not():
    result = command("--sections=steps_small,sleep")
    assert result.returncode == 2
    assert "must name some of steps_small" in result.stderr and "Traceback" not in result.stderr
    assert result.stdout == ""


def test_the_command_measures_reports_and_exits_with_0(tmp_path):
    output = tmp_path / "out.json"
    flags = ["--sections=pipeline", "--turns=1", "--steps=1", f"--output={output}"]
    result = command(*flags, f"--work_dir={tmp_path / 'work'}")
    assert result.returncode == 0, result.stderr
    assert "pipeline: Reads, decodes, augments, beside decoding alone" in result.stdout
    rows = json.loads(output.read_text())["rows"]
    assert {r["variant"] for r in rows} == {
        f"{name}, {pixels} px" for name in ("decoding", "plain", "bank") for pixels in (48, 112)
    }
    assert "pipeline, 48 px: 100%" in result.stderr  # progress
