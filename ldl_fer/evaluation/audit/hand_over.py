"""Hands an audit over to other tools: labels, probabilities and scores as each of them reads them.

cleanlab       labels.npy, pred_probs.npy, label_quality.npy, and rows.csv: whose they are
label_studio   tasks.json with predictions, label_config.xml, pictures/
fiftyone       samples.json and metadata.json of a `FiftyOneDataset`, data/
imagefolder    train/metadata.csv beside the pictures, as Hugging Face's datasets reads it

Pictures are copied, and called by their row: `0000012.png` is row 12 of the CSV. What people
correct in Label Studio and FiftyOne is read back by `ldl_fer.evaluation.audit.corrections`.
"""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import LABEL, PATH
from ldl_fer.data.pictures import PICTURE_ENDINGS
from ldl_fer.data.samples import share_columns, shares
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit.suspicion import suggested_labels, suspicion_of
from ldl_fer.evaluation.audit.training_set import TrainingSet
from ldl_fer.files import made_folder, whole_file, write_whole

QUESTION, IMAGE = "expression", "image"  # names of Label Studio's choices and picture
GIVEN, ROW, SOURCE = "ground_truth", "row", "source_path"  # fields of FiftyOne and Label Studio
DROP = "drop"  # FiftyOne's tag, Label Studio's choice: take the picture out
_MODEL = "ldl_fer"


def hand_over(
    folder: str | Path, training: TrainingSet, form: str, count: int = 0, progress: bool = True
) -> list[str]:
    """Writes an audit in the form that another tool reads.

    Args:
      folder: to write into; it is made where there is none.
      training: of `training_set.training_set`.
      form: a key of `FORMS`.
      count: of samples, the most suspicious ones; 0: all.
      progress: whether to show a bar while pictures are copied.

    Returns:
      Pictures that could not be read, as sentences; they are left out.

    Raises:
      InputError: the folder is not empty, cannot be written to, or `count` is given for cleanlab,
        which compares all samples.
      KeyError: there is no such form.
    """
    write = FORMS[form]
    if count and form == "cleanlab":
        raise InputError("--count: cleanlab compares all samples with each other; leave it out.")
    folder = made_folder(folder)
    if any(folder.iterdir()):
        raise InputError(f"{folder} is not empty. Name another folder by --output.")
    table = ranked(training).head(count or len(training.samples))
    return write(folder, table, training, progress)


def ranked(training: TrainingSet) -> pd.DataFrame:
    """Ranks samples, the most suspicious first.

    Returns:
      A row per sample: `row` of the annotation file, `source_path`, `label` and `suggested` (names
      of classes), `confidence` in the latter, `suspicion` of the former, `uncertainty` where the
      method has it, and `probability_*` of each class.
    """
    samples, names = training.samples, training.annotations.class_names
    named = np.array(names, object)
    suggested, probabilities = suggested_labels(samples, names), shares(samples, _SHARE, names)
    table = pd.DataFrame(
        {
            ROW: training.rows,
            SOURCE: samples[PATH].to_numpy(),
            "label": named[samples[LABEL].to_numpy()],
            "suggested": named[suggested],
            "confidence": probabilities.max(axis=1),
            "suspicion": suspicion_of(samples, names),
        }
    )
    if "uncertainty" in samples:
        table["uncertainty"] = samples["uncertainty"].to_numpy()
    table[share_columns(_SHARE, names)] = probabilities
    return table.sort_values("suspicion", ascending=False, kind="stable", ignore_index=True)


def _cleanlab(
    folder: Path, table: pd.DataFrame, training: TrainingSet, progress: bool
) -> list[str]:
    names = training.annotations.class_names
    table = table.sort_values(ROW)
    numbers = {name: number for number, name in enumerate(names)}
    arrays = {
        "labels": table["label"].map(numbers).to_numpy(np.int64),
        "pred_probs": table[share_columns(_SHARE, names)].to_numpy(float),
        "label_quality": 1.0 - table["suspicion"].to_numpy(float),
    }
    for name, values in arrays.items():
        with whole_file(folder / f"{name}.npy") as partial:
            np.save(partial, values)
    write_whole(folder / "classes.json", json.dumps(names) + "\n")
    write_whole(folder / "rows.csv", _csv(table[[ROW, SOURCE]]))
    return []


def _label_studio(
    folder: Path, table: pd.DataFrame, training: TrainingSet, progress: bool
) -> list[str]:
    table, problems = _with_pictures(folder, "pictures", table, training, progress)
    shown = ["label", "suggested", "suspicion", ROW, SOURCE]
    tasks = []
    for sample in table.to_dict("records"):
        place = quote(f"{folder.resolve().name}/{sample['file_name']}")
        answer = {
            "id": str(sample[ROW]),
            "from_name": QUESTION,
            "to_name": IMAGE,
            "type": "choices",
            "value": {"choices": [sample["suggested"]]},
        }
        prediction = {"model_version": _MODEL, "score": sample["confidence"], "result": [answer]}
        data = {IMAGE: f"/data/local-files/?d={place}", **{name: sample[name] for name in shown}}
        tasks.append({"data": data, "predictions": [prediction]})
    names = training.annotations.class_names
    lines = [
        "<View>",
        '  <Header value="label: $label, suggested: $suggested"/>',
        f'  <Image name="{IMAGE}" value="${IMAGE}"/>',
        f'  <Choices name="{QUESTION}" toName="{IMAGE}" choice="single">',
        *(f"    <Choice value={quoteattr(name)}/>" for name in (*names, DROP)),
        "  </Choices>",
        "</View>",
    ]
    write_whole(folder / "label_config.xml", "\n".join(lines) + "\n")
    write_whole(folder / "tasks.json", json.dumps(tasks, indent=1) + "\n")
    return problems


def _fiftyone(
    folder: Path, table: pd.DataFrame, training: TrainingSet, progress: bool
) -> list[str]:
    names = training.annotations.class_names
    table, problems = _with_pictures(folder, "data", table, training, progress)
    samples = []
    for sample in table.to_dict("records"):
        label = {"_cls": "Classification", "label": sample["label"]}
        prediction = {"_cls": "Classification", "label": sample["suggested"]}
        prediction["confidence"] = sample["confidence"]
        carried = {n: sample[n] for n in (ROW, SOURCE, "suspicion", "uncertainty") if n in sample}
        samples.append(
            {
                "filepath": sample["file_name"],
                "tags": [],
                GIVEN: label,
                "prediction": prediction,
                "probabilities": [sample[name] for name in share_columns(_SHARE, names)],
                **carried,
            }
        )
    # Without a "version", FiftyOne of any version infers the fields from the samples.
    metadata = {"media_type": "image", "info": {"classes": names, "run": training.name}}
    write_whole(folder / "metadata.json", json.dumps(metadata, indent=1) + "\n")
    write_whole(folder / "samples.json", json.dumps({"samples": samples}, indent=1) + "\n")
    return problems


def _imagefolder(
    folder: Path, table: pd.DataFrame, training: TrainingSet, progress: bool
) -> list[str]:
    # `datasets` takes folders called test or val for splits: hence one folder, names by row.
    table, problems = _with_pictures(folder, "train", table, training, progress)
    table["file_name"] = table["file_name"].str.removeprefix("train/")
    first = table.pop("file_name")
    table.insert(0, "file_name", first)
    write_whole(folder / "train/metadata.csv", _csv(table))
    return problems


FORMS: dict[str, Callable[[Path, pd.DataFrame, TrainingSet, bool], list[str]]] = {
    "cleanlab": _cleanlab,
    "label_studio": _label_studio,
    "fiftyone": _fiftyone,
    "imagefolder": _imagefolder,
}
_SHARE = "probability"  # of the columns of samples.csv


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")


def _with_pictures(
    folder: Path, place: str, table: pd.DataFrame, training: TrainingSet, progress: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Copies pictures to `place` in a folder; returns rows with their `file_name`, and problems."""
    names, problems = list[str | None](), list[str]()
    paths = table[[ROW, SOURCE]].itertuples(index=False)
    bar = tqdm(paths, "pictures", len(table), unit="picture", disable=not progress)
    for row, path in bar:
        try:
            content = training.picture(row)
        except (OSError, ValueError) as error:
            problems.append(f"row {row}: {error}")
            names.append(None)
            continue
        ending = PurePosixPath(path).suffix.lower()
        name = f"{place}/{row:07d}{ending if ending in PICTURE_ENDINGS else '.png'}"
        with whole_file(folder / name) as partial:
            partial.write_bytes(content)
        names.append(name)
    made_folder(folder / place)
    return table.assign(file_name=names).dropna(subset="file_name"), problems
