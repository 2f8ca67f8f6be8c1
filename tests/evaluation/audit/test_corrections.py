"""Labels corrected in Label Studio and FiftyOne, read back into the CSV."""

import json

import pandas as pd
import pytest
from helpers.audited_run import make_run
from helpers.called import call

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit.corrections import corrected, read_corrections
from ldl_fer.evaluation.audit.hand_over import hand_over
from ldl_fer.evaluation.audit.training_set import training_set


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    return training_set(make_run(tmp_path_factory.mktemp("audit")).folder)


@pytest.fixture
def tasks(training, tmp_path):
    """Label Studio's tasks by row, as they were handed over."""
    hand_over(tmp_path / "tasks", training, "label_studio", progress=False)
    listed = json.loads((tmp_path / "tasks/tasks.json").read_text())
    return {task["data"]["row"]: task for task in listed}


@pytest.fixture
def samples(training, tmp_path):
    """FiftyOne's samples by row."""
    hand_over(tmp_path / "samples", training, "fiftyone", progress=False)
    listed = json.loads((tmp_path / "samples/samples.json").read_text())["samples"]
    return {sample["row"]: sample for sample in listed}


def annotation(label, updated="2024-05-01T10:00:00Z", skipped=False):
    result = [{"from_name": "expression", "type": "choices", "value": {"choices": [label]}}]
    return {"result": result, "was_cancelled": skipped, "updated_at": updated}


def name_of(training, row, step=0):
    """The class of a row, or one `step` further."""
    return CLASS_NAMES[(training.annotations.labels[row] + step) % 7]


def written(path, content):
    path.write_text(json.dumps(content))
    return path


def test_label_studio_by_its_newest_answer(training, tasks, tmp_path):
    old, new = "2024-05-01T10:00:00Z", "2024-06-01T10:00:00Z"
    first, second = name_of(training, 2, 1), name_of(training, 2, 2)
    tasks[2]["annotations"] = [annotation(second, new), annotation(first, old)]
    tasks[4]["annotations"] = [annotation(name_of(training, 4))]
    tasks[5]["annotations"] = [annotation("drop")]
    tasks[6]["annotations"] = [annotation(name_of(training, 6, 1), skipped=True)]
    tasks[7]["annotations"] = [{"result": [], "was_cancelled": False}]
    file = written(tmp_path / "project.json", list(tasks.values()))
    decided = read_corrections(file, training.annotations)
    assert decided == {2: second, 4: name_of(training, 4), 5: None}
    # JSON-MIN has the data at the top, and the answer by the name of its question
    least = [
        {**task["data"], "id": row, "expression": decided[row] or "drop"}
        if row in decided
        else {**task["data"], "id": row}
        for row, task in tasks.items()
    ]
    assert read_corrections(written(tmp_path / "min.json", least), training.annotations) == decided


def test_fiftyone_by_label_and_tags(training, samples, tmp_path):
    samples[1]["ground_truth"]["label"] = name_of(training, 1, 3)
    samples[3]["tags"] = ["kept"]
    samples[8]["tags"] = ["drop"]
    expected = {1: name_of(training, 1, 3), 3: name_of(training, 3), 8: None}
    # as FiftyOne exports them: ids of its database beside
    exported = [{"_id": {"$oid": "0" * 24}, **sample} for sample in samples.values()]
    file = written(tmp_path / "samples.json", {"samples": exported})
    assert read_corrections(file, training.annotations) == expected
    assert read_corrections(tmp_path, training.annotations) == expected  # its folder


def test_the_table_is_the_pages(training):
    given = training.annotations.table["expression"].tolist()
    decided = {0: name_of(training, 0, 1), 4: name_of(training, 4), 29: None}
    table, counts = corrected(training.annotations, decided)
    assert counts == {"relabeled": 1, "kept": 1, "dropped": 1}
    assert len(table) == 29 and table["expression"].tolist() == [(given[0] + 1) % 7, *given[1:29]]
    assert table["given_expression"].tolist() == given[:29]
    assert table["review"].tolist() == ["relabeled", "", "", "", "kept", *[""] * 24]
    assert table.columns[-2:].tolist() == ["given_expression", "review"]
    again, _ = corrected(
        type(training.annotations)(table.reset_index(drop=True)), {0: CLASS_NAMES[given[0]]}
    )
    assert again.columns.tolist() == table.columns.tolist()  # each of both columns once


def test_the_command_writes_a_csv_that_training_takes(tmp_path):
    run = make_run(tmp_path)
    training = training_set(run.folder)
    hand_over(tmp_path / "out", training, "label_studio", progress=False)
    tasks = json.loads((tmp_path / "out/tasks.json").read_text())
    row = tasks[0]["data"]["row"]
    tasks[0]["annotations"] = [annotation(name_of(training, row, 1))]
    file = written(tmp_path / "project.json", tasks)
    done = call("audit", run.folder, f"--import={file}")
    assert done.returncode == 0 and "30 rows; 1 relabeled." in done.stdout
    made = read_annotations(run.folder / "train_corrected.csv", tmp_path / "images")
    expected = pd.read_csv(tmp_path / "train.csv")["expression"]
    expected[row] = (expected[row] + 1) % 7
    assert made.labels.tolist() == expected.tolist()
    assert call("audit", run.folder, f"--import={file}").returncode == 0  # its own file
    done = call("audit", run.folder, f"--import={file}", f"--output={tmp_path}/train.csv")
    assert done.returncode == 2 and "train.csv is there" in done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda task: task["data"].update(row=99), r"entry 0 \(row 99, .*\) is no row of the CSV"),
        (lambda task: task["data"].update(row="2"), "is no row of the CSV"),
        (lambda task: task["data"].update(row=True), "is no row of the CSV"),
        (lambda task: task["data"].update(source_path="b.png"), "b.png.* is no row of the CSV"),
        (lambda task: task.update(annotations=[annotation("Bored")]), "has the label 'Bored'"),
        (lambda task: task.pop("annotations"), "no label in it was corrected"),
        (lambda task: task.update(annotations=["x"]), "no label in it was corrected"),
        (lambda task: task.update(data=3), "is no row of the CSV"),
    ],
)
def test_a_wrong_entry_is_named(training, tasks, tmp_path, change, words):
    task = tasks[1]
    task["annotations"] = [annotation("Happy")]
    change(task)
    file = written(tmp_path / "project.json", [task])
    with pytest.raises(InputError, match=words):
        read_corrections(file, training.annotations)


@pytest.mark.parametrize("text", ["", "{}", '{"samples": 3}', "3", "[" * 100_000, "\udcff"])
def test_another_file_is_refused(training, tmp_path, text):
    (tmp_path / "x.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"x\.json(:? cannot be read| is neither)"):
        read_corrections(tmp_path / "x.json", training.annotations)


def test_two_minds_about_one_row_are_refused(training, tasks, tmp_path):
    pair = [dict(tasks[1], annotations=[annotation(name)]) for name in ("Happy", "Sad")]
    with pytest.raises(InputError, match="entry 1 decides otherwise about row 1"):
        read_corrections(written(tmp_path / "two.json", pair), training.annotations)
