"""The program of docs/training.md for Weights & Biases and MLflow, with stand-ins for all three."""

import contextlib
import sys
from types import SimpleNamespace

from helpers.commands import ROOT
from helpers.documents import blocks

import ldl_fer


def test_the_documents_program_logs_what_a_run_wrote(tmp_path, monkeypatch):
    (program,) = (b.text for b in blocks(ROOT / "docs/training.md") if "import mlflow" in b.text)
    said = []

    @contextlib.contextmanager
    def begun(**settings):
        said.append(("begin", settings))
        yield
        said.append(("end",))

    def train(config):
        said.append(("train", config.run.run_dir))
        run = tmp_path / config.run.run_dir
        run.mkdir(parents=True)
        (run / "config.json").write_text(config.to_json())
        # as Keras' CSVLogger writes it: epochs from 0, a metric that has no value yet
        (run / "log.csv").write_text("epoch,loss,val_accuracy\n0,1.5,NA\n1,1.25,0.5\n")

    mlflow = SimpleNamespace(
        start_run=begun,
        log_metrics=lambda metrics, step: said.append(("metrics", metrics, step)),
        log_artifact=lambda path: said.append(("file", (tmp_path / path).exists())),
    )
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=begun))
    monkeypatch.setitem(vars(ldl_fer), "train", train)
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "docs/training.md", "exec"), {})
    assert said == [
        ("begin", {"project": "faces", "sync_tensorboard": True}),
        ("train", "checkpoints/mine"),
        ("end",),
        ("begin", {"run_name": "mine"}),
        ("metrics", {"loss": 1.5}, 0),
        ("metrics", {"loss": 1.25, "val_accuracy": 0.5}, 1),
        ("file", True),
        ("end",),
    ]
