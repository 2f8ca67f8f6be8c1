"""Writes the card of an export: what it was trained on, how, how good it is, and its limits.

It names files without the folders of the machine they lie on, since exports are handed on.
"""

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldl_fer.config import Config
from ldl_fer.config.settings import DataConfig
from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError
from ldl_fer.inference.export.formats import (
    HUB_CARD,
    Comparison,
    Format,
    public_name,
    warnings,
)
from ldl_fer.training.run import Run

NO_LICENSE = "not stated: ask the data's owner"
_PER_CLASS = ("recall", "precision", "f1")
_LIMITS = """\
- It tells which expression people *would name* on a face, not what the person feels. A face is a
  poor witness of emotion: the same expression is worn in different states, the same state shows
  differently from person to person, culture to culture and moment to moment.
- Many faces are ambiguous, and people disagree on them. Read all probabilities, not the first
  alone; close leading ones are an answer of their own.
- It always names one of its classes, also for expressions that are none of them, for faces that it
  cannot see well, and for pictures without a face.
- Demographic coverage of the training data is unknown unless its owner states it: accuracy for an
  age, gender, skin color or culture was not measured here. Measure it on your own data.
- It was trained on crops of single faces. Give it crops made the same way.
- Do not judge people by it: not in hiring, policing, teaching, insurance or at borders. In the
  European Union, inferring emotions at work and in education is prohibited (AI Act, Art. 5)."""


def model_card(
    run_dir: str | os.PathLike,
    kind: Format,
    checks: Mapping[str, Comparison],
    pictures: str = "",
    data_license: str = "",
    folder: str = "",
    temperature: float | None = None,
) -> str:
    """Writes the text of the card, Markdown, in Hugging Face's form where the format has that.

    Args:
      run_dir: the run that was exported; its config.json, best.json, samples.csv, result.json
        and environment.json are read where there are any.
      kind: the format of the export.
      checks: of `write_export`.
      pictures: a phrase that says where the real pictures of the checks are from.
      data_license: of the training data; empty: not stated.
      folder: name of the export's folder, for the example; empty: the format's own name.
      temperature: that calibrates the probabilities; None: none was fitted.
    """
    run = Run(run_dir)
    config = run.config()
    filled = {"size": config.data.image_size, "folder": folder or kind.name}
    lines = [f"- {name}: {comparison}" for name, comparison in checks.items()]
    lines += [f"- **warning**: {text}" for text in warnings(checks, kind.tolerance)]
    sections = {
        "How to use it": f"{kind.interface.format(**filled)}\n\n"
        f"C = {len(config.data.class_names)} classes, in this order: "
        f"{', '.join(config.data.class_names)}.{_calibration(temperature)}\n\n"
        f"```python\n{kind.example.format(**filled)}\n```",
        "Data": _data(run, config, data_license),
        "Settings": _settings(run, config),
        "Results": _results(run),
        "Limits": _LIMITS,
        "Equal to the trained network": f"Probabilities, compared when this was written; allowed: "
        f"{kind.tolerance}.\n\n"
        + "\n".join(lines)
        + (f"\n\nReal pictures: {pictures}." if pictures else ""),
    }
    title = f"# Facial expression network, {kind.title}"
    if kind.card == HUB_CARD:
        title = f"{_metadata(run, config, data_license)}\n\n{title}"
    return "\n\n".join([title, *(f"## {name}\n\n{text}" for name, text in sections.items())]) + "\n"


def _metadata(run: Run, config: Config, data_license: str) -> str:
    """Returns the card's beginning as Hugging Face reads it: YAML, here in the form of JSON."""
    license_name = re.sub(r"[^a-z0-9.]+", "-", data_license.lower()).strip("-") or "not-stated"
    held: dict[str, Any] = {
        "library_name": "ldl_fer",
        "pipeline_tag": "image-classification",
        "license": "other",  # of the training data's owner, see the card
        "license_name": license_name,
        "tags": [
            *("facial-expression-recognition", "label-distribution-learning", "tensorflow"),
            config.method.replace("_", "-"),
        ],
        "metrics": ["accuracy", "f1"],
    }
    result = _read(run.folder / "result.json")
    if result and not _of_another_epoch(result, run):
        name = Path(public_name(str(result.get("data_path", "a set not named")))).name
        measured = [
            {"type": "accuracy", "value": result["metrics"].get("accuracy")},
            {"type": "f1", "name": "macro F1", "value": result["metrics"].get("macro_f1")},
        ]
        found = {
            "task": {"type": "image-classification", "name": "facial expression recognition"},
            "dataset": {"type": "custom", "name": name},
            "metrics": [metric for metric in measured if metric["value"] is not None],
        }
        title = f"{config.method_settings.title}, {public_name(config.network.backbone)}"
        held["model-index"] = [{"name": title, "results": [found]}]
    lines = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in held.items())
    return "\n".join(["---", *lines, "---"])


def _of_another_epoch(result: Mapping[str, Any], run: Run) -> bool:
    """Returns whether a result is of other weights than the best, which are exported."""
    best = run.epoch("best")
    return result.get("weights", "best") != "best" or result.get("best", best) != best


def _calibration(temperature: float | None) -> str:
    if temperature is None:
        return ""
    return (
        "\n\nProbabilities are the network's own softmax. For calibrated confidence, take p^(1/T) "
        "and divide by its sum over the classes, with the temperature T = "
        f"{temperature:.4g} that was fitted on validation data."
    )


def _data(run: Run, config: Config, data_license: str) -> str:
    data = config.data
    lines = [f"- training file: `{public_name(data.train_data_path) or 'not named'}`"]
    path = Path(data.train_data_path)
    try:
        table = read_annotations(
            path, data.train_image_dir, data.class_names, 1, knn=False, plane=False, decode=False
        )
    except InputError:
        lines.append("- not at hand as a CSV when this card was written: no fingerprint")
    else:
        lines.append(f"- {len(table):,} rows, SHA-256 of the table `{table.fingerprint()}`")
        if not run.samples_file.exists():
            lines.append(_counts("per class", table.labels, data))
    if run.samples_file.exists():
        samples = run.samples
        lines.append(_counts(f"{len(samples):,} trained on", samples["expression"], data))
        if "clean_expression" in samples:
            wrong = (samples["expression"] != samples["clean_expression"]).mean()
            lines.append(f"- {wrong:.1%} of their labels were made wrong on purpose")
        if "valence_arousal_source" in samples:
            sources = samples["valence_arousal_source"].value_counts().items()
            named = ", ".join(f"{public_name(str(name))} ({count:,})" for name, count in sources)
            lines.append(f"- valence and arousal from: {named}")
    chosen = f"`{public_name(data.val_data_path)}`"
    if not data.val_data_path:
        chosen = f"{data.validation_fraction:.0%} of the training file, held out"
    elif data.select_on_test:
        chosen += ", **the test set**"
    lines.append(f"- epoch chosen on: {chosen}")
    lines.append(f"- license of the data: {data_license or NO_LICENSE}")
    return "\n".join(lines)


def _counts(text: str, labels: np.ndarray, data: DataConfig) -> str:
    counts = np.bincount(labels, minlength=len(data.class_names))
    named = zip(data.class_names, counts, strict=True)
    return f"- {text}: " + ", ".join(f"{name} {count:,}" for name, count in named)


def _settings(run: Run, config: Config) -> str:
    best, made = run.epoch("best"), _read(run.folder / "environment.json")
    method, network, steps = config.method_settings, config.network, config.optimizer
    paper = f" ({method.paper})" if method.paper else ""
    frozen = ", frozen, with a head of its own" if network.frozen else ""
    files = [public_name(path) for path in network.pretrained_files]
    start = f", started from `{', '.join(files)}`" if files else ""
    lines = [
        f"- method: {method.title}{paper}, {steps.epochs} epochs, batch "
        f"{steps.batch_size}, seed {config.run.seed}",
        f"- network: {public_name(network.backbone)}{frozen}{start}, images of "
        f"{config.data.image_size} x {config.data.image_size} pixels",
    ]
    if best:
        accuracy = best["validation_accuracy"]
        lines.append(f"- exported: epoch {best['epoch']}, validation accuracy {accuracy:.4f}")
    if made:
        lines.append(f"- made with: TensorFlow {made['versions']['tensorflow']}, ")
        lines[-1] += f"Python {made['python']}, code {made['git_commit']}, {made['started'][:10]}"
    settings = _without_folders(dataclasses.asdict(config.replace(pretrained=",".join(files))))
    return "\n".join(lines) + f"\n\n```json\n{json.dumps(settings, indent=1)}\n```"


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_folders(part) for name, part in value.items()}
    return public_name(value) if isinstance(value, str) else value


def _results(run: Run) -> str:
    result = _read(run.folder / "result.json")
    if not result:
        return "None: the run was not evaluated (`ldl-fer evaluate`) before it was exported."
    name = public_name(str(result.get("data_path", "a set not named")))
    lines = [f"Of the trained network on `{name}`, {result['count']:,} images:", ""]
    if _of_another_epoch(result, run):
        lines[:0] = ["**Of another epoch than the one exported.**", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {n.replace('_', ' ')} | {v:.4f} |" for n, v in result["metrics"].items()]
    lines += ["", "| class | images | " + " | ".join(_PER_CLASS) + " |", "|---" * 5 + "|"]
    for name, values in result["per_class"].items():
        rates = ["-" if values[key] is None else f"{values[key]:.3f}" for key in _PER_CLASS]
        lines.append(f"| {name} | {values['support']:,} | " + " | ".join(rates) + " |")
    return "\n".join(lines)


def _read(path: Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {}
