"""The audit as an object: what its table, figure, notes, page and export hold."""

import pytest
from helpers.audited_run import make_run

from ldl_fer import audit
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "made")


def test_table_ranks_by_suspicion(run):
    table, samples = audit(run).table, run.samples
    doubt = []
    for _, sample in samples.iterrows():
        shares = [sample[f"probability_{name.lower()}"] for name in CLASS_NAMES]
        given = shares.pop(sample["expression"])
        doubt.append(max(shares) / (given + max(shares)))
    assert table["suspicion"].tolist() == pytest.approx(sorted(doubt, reverse=True))
    first = samples.iloc[table["row"][0]]
    assert table.loc[0, "source_path"] == first["subDirectory_filePath"]
    assert table.loc[0, "label"] == CLASS_NAMES[first["expression"]]
    assert table.loc[0, "uncertainty"] == first["uncertainty"]


def test_figure_shows_the_first_rows(run):
    found = audit(run.folder)
    shown = [axes for axes in found.figure(count=3).axes if axes.images]
    expected = [
        f"{row['label']}\n{row['suggested']} {row['confidence']:.2f}"
        for _, row in found.table.head(3).iterrows()
    ]
    assert [axes.get_title() for axes in shown] == expected
    for path in (run.folder.parent / "images").rglob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match="--train_image_dir"):
        found.figure()


def test_page_and_export(run, tmp_path):
    found = audit(run)
    assert found.write_page(tmp_path / "page.html", progress=False) == []
    assert "Label audit of train" in (tmp_path / "page.html").read_text("utf-8")
    assert found.export("cleanlab", tmp_path / "cleanlab", progress=False) == []
    assert (tmp_path / "cleanlab" / "pred_probs.npy").exists()
    assert len(found.notes) == 3 and "6 rows were not trained on" in found.notes[1]
