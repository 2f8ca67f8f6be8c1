"""The audit page in a real browser: filters, keys, review, and a CSV that training takes."""

import os
import time

import numpy as np
import pandas as pd
import pytest
from helpers.audited_run import make_run
from helpers.browser import chromium

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import read_annotations
from ldl_fer.evaluation.audit.page import write_page
from ldl_fer.evaluation.audit.suspicion import suspicion
from ldl_fer.evaluation.audit.training_set import training_set

pytest.importorskip("selenium", reason="pip install selenium")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("downloads")) as opened:
        yield opened


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("audited"), count=200, held_out=20)


@pytest.fixture
def page(browser, run, tmp_path):
    """The page, newly written to a place of its own: nothing is reviewed yet."""
    file = tmp_path / "audit.html"
    assert write_page(file, training_set(run.folder), "An audit", 0, 80, progress=False) == []
    browser.get(file.as_uri())
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    yield browser
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def press(page, keys):
    page.find_element(By.TAG_NAME, "body").send_keys(keys)


def choose(page, name, value):
    page.execute_script(
        "const f = document.getElementById(arguments[0]); f.value = arguments[1]; f.onchange()",
        *(name, value),
    )


def rows(page):
    """(path, text) of the rows in sight, top to bottom."""
    found = page.find_elements(By.CSS_SELECTOR, ".row")
    found.sort(key=lambda row: row.location["y"])
    return [row.text for row in found]


def selected(page):
    return page.find_element(By.CSS_SELECTOR, '.row[aria-selected="true"]').text


def text_of(page, name):
    return page.find_element(By.ID, name).text


def corrected(page):
    """The downloaded file."""
    for name in os.listdir(page.downloads):
        os.remove(os.path.join(page.downloads, name))
    page.find_element(By.ID, "download").click()
    path, deadline = os.path.join(page.downloads, "train_corrected.csv"), time.time() + 20
    while not os.path.exists(path) and time.time() < deadline:
        time.sleep(0.05)
    return read_annotations(path, progress=False).table


def trained_on(run):
    """Samples, the most suspicious first."""
    samples = pd.read_csv(run.samples_file)
    names = [f"probability_{name.lower()}" for name in CLASS_NAMES]
    probability = samples[names].to_numpy()
    samples["suggested"] = probability.argmax(axis=1)
    samples["own"] = probability[range(len(samples)), samples["expression"]]
    order = np.argsort(-suspicion(probability, samples["expression"].to_numpy()), kind="stable")
    return samples.iloc[order].reset_index(drop=True)


def test_ranked_by_suspicion_and_only_rows_in_sight_exist(page, run):
    samples = trained_on(run)
    assert text_of(page, "title") == "An audit"
    assert "180 of 180" in text_of(page, "shown")
    texts = rows(page)
    assert 5 < len(texts) < 40
    for place, text in enumerate(texts[:5]):
        sample = samples.iloc[place]
        assert f"{place + 1}. {sample['subDirectory_filePath']}" in text
        assert text.startswith(CLASS_NAMES[sample["expression"]])
        assert f"p {sample['own']:.2f}" in text and f"λ {sample['uncertainty']:.2f}" in text


def test_review_by_keys_makes_a_csv_that_training_takes(page, run):
    samples, before = trained_on(run), read_annotations(run.folder.parent / "train.csv").table
    press(page, "k" + "r" + "d" + "3" + "j" + "d" + "u")
    # the first kept, the second as suggested, the third dropped, the fourth Sad, the sixth left
    assert text_of(page, "progress").startswith("4 reviewed: ")
    table = corrected(page)
    paths = samples["subDirectory_filePath"].tolist()
    assert len(table) == len(before) - 1 and paths[2] not in set(table["subDirectory_filePath"])
    new = table.set_index("subDirectory_filePath")
    assert new["expression"][paths[1]] == samples["suggested"][1]
    assert new["expression"][paths[3]] == CLASS_NAMES.index("Sad")
    assert (
        new["review"][paths[0]] == "kept"
        and new["given_expression"][paths[1]] == samples["expression"][1]
    )
    # All else is as it was, in the same order, held-out rows and cells of two lines included.
    others = before[~before["subDirectory_filePath"].isin(paths[:4])]
    left = table[table["subDirectory_filePath"].isin(others["subDirectory_filePath"])]
    pd.testing.assert_frame_equal(
        left[before.columns].reset_index(drop=True), others.reset_index(drop=True)
    )
    assert not (left["review"] != "").any() and len(others) == 196


def test_decisions_outlive_the_page(page):
    press(page, "dd")
    page.refresh()
    assert text_of(page, "progress").endswith("2 dropped")
    assert len(corrected(page)) == 198


def test_filters_by_class_pair_review_and_name(page, run):
    samples = trained_on(run)
    pairs = samples.groupby(["expression", "suggested"]).size()
    (given, suggestion), count = pairs.idxmax(), pairs.max()
    page.find_element(By.CSS_SELECTOR, f'[data-pair="{given}>{suggestion}"]').click()
    assert text_of(page, "shown").startswith(f"{count} of 180")
    assert page.find_element(By.CSS_SELECTOR, f'[data-pair="{given}>{suggestion}"]').text == str(
        count
    )
    page.find_element(By.CSS_SELECTOR, f'[data-pair="{given}>{suggestion}"]').click()
    choose(page, "given", str(given))
    assert text_of(page, "shown").startswith(f"{(samples['expression'] == given).sum()} of")
    choose(page, "given", "")
    press(page, "kd")
    for status, number in {"kept": 1, "dropped": 1, "relabeled": 0, "done": 2, "open": 178}.items():
        choose(page, "status", status)
        assert text_of(page, "shown").startswith(f"{number} of 180")
    choose(page, "status", "")
    page.find_element(By.ID, "search").send_keys("<B>")
    matching = samples["subDirectory_filePath"].str.contains("<b>").sum()
    assert text_of(page, "shown").startswith(f"{matching} of 180")


def test_another_ranking(page, run):
    order = trained_on(run).sort_values("uncertainty", ascending=False, kind="stable")
    choose(page, "rank", "uncertainty")
    assert f"1. {order['subDirectory_filePath'].iloc[0]}" in rows(page)[0]


def test_the_detail_shows_distributions_and_neighbors(page, run):
    sample, samples = trained_on(run).iloc[0], pd.read_csv(run.samples_file)
    detail = text_of(page, "detail")
    assert sample["subDirectory_filePath"] in detail
    for part in ("probability", "aggregated", "target"):
        share = 100 * sample[f"{part}_happy"]
        assert f"{share:.1f} %" in detail or f"{share:.0f} %" in detail
    cards = page.find_elements(By.CSS_SELECTOR, ".neighbor")
    numbers = [sample[name].split(";") for name in ("neighbors", "calibration", "contribution")]
    for card, (other, calibration, contribution) in zip(
        cards, zip(*numbers, strict=True), strict=True
    ):
        assert card.text.startswith(CLASS_NAMES[samples["expression"][int(other)]])
        assert (
            f"c {float(contribution):.2f}" in card.text
            and f"ζ {float(calibration):.2f}" in card.text
        )
    cards[1].click()
    assert samples["subDirectory_filePath"][int(numbers[0][1])] in text_of(page, "detail")


def test_a_point_of_the_plane_shows_its_picture_and_selects_it(page):
    move = """const [x, y] = plane.place(data.valence_arousal[7]);
        const frame = plane.canvas.getBoundingClientRect();
        const at = {clientX: frame.left + x, clientY: frame.top + y, bubbles: true};
        plane.canvas.dispatchEvent(new MouseEvent(arguments[0], at));"""
    page.execute_script(move, "mousemove")
    hover = page.find_element(By.ID, "hover")
    assert hover.is_displayed()
    image = hover.find_element(By.TAG_NAME, "img")
    assert page.execute_script("return arguments[0].naturalWidth", image) == 24
    page.execute_script(move, "click")
    assert page.execute_script("return data.valence_arousal[list.selected]") == page.execute_script(
        "return data.valence_arousal[7]"
    )


def test_moving_scrolls_and_stops_at_the_ends(page):
    press(page, Keys.ARROW_UP)
    assert "1. " in selected(page)
    press(page, Keys.PAGE_DOWN * 30)
    assert "180. " in selected(page)
    press(page, "?")
    assert page.find_element(By.ID, "help").is_displayed()
    press(page, "d")  # keys do nothing beneath the help
    assert text_of(page, "progress").startswith("0 reviewed")
