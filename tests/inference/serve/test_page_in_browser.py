"""The page of `ldl-fer serve` in a real browser: photos, the camera, what it says of faces."""

import time

import numpy as np
import pytest
from helpers.browser import chromium
from helpers.color_model import write_picture
from helpers.served import serving

pytest.importorskip("selenium", reason="pip install selenium")
By = pytest.importorskip("selenium.webdriver.common.by").By


class Affect:
    """A regressor that answers every face alike."""

    image_size = 8

    def predict(self, images):
        return np.tile(np.float32([[0.5, -0.25]]), (len(images), 1))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("downloads")) as opened:
        yield opened


@pytest.fixture
def page(browser):
    with serving(affect=Affect()) as port:
        browser.get(f"http://127.0.0.1:{port}/")
        yield browser
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def until(page, asked, seconds=20):
    """The answer of `asked`, once it is one."""
    end = time.monotonic() + seconds
    while not (found := asked()):
        assert time.monotonic() < end, page.find_element(By.TAG_NAME, "body").text
        time.sleep(0.05)
    return found


def all_of(page, selector, count):
    """The elements of a selector, once there are as many."""
    return until(
        page,
        lambda: len(found := page.find_elements(By.CSS_SELECTOR, selector)) == count and found,
    )


def choose(page, *files):
    page.find_element(By.ID, "files").send_keys("\n".join(map(str, files)))


def test_photos_show_their_faces(page, tmp_path):
    first = write_picture(tmp_path / "a.png", (10, 10, 10))  # one face, no class ahead
    second = write_picture(tmp_path / "b.png", (20, 180, 0))  # two faces, of class "Grün"
    (tmp_path / "c.png").write_bytes(b"none")
    choose(page, first, second, tmp_path / "c.png")
    sections = all_of(page, "#results section", 3)
    faces = all_of(page, ".face", 3)
    names = [part.find_element(By.TAG_NAME, "h2").text for part in sections]
    assert names == ["a.png", "b.png", "c.png"]
    assert "Ambiguous: " in faces[0].text and "nearly as probable" in faces[0].text
    assert "no class is probable enough" in faces[0].text  # 33 % is below 40 %
    assert faces[1].text.startswith("1: Grün, 90 %") and "Ambiguous" not in faces[1].text
    meters = faces[1].find_elements(By.TAG_NAME, "meter")
    shares = [float(meter.get_attribute("value")) for meter in meters]
    assert shares == pytest.approx([0.1, 0.9, 0.0], abs=0.01)
    point = faces[1].find_element(By.CSS_SELECTOR, "circle.point")
    assert (point.get_attribute("cx"), point.get_attribute("cy")) == ("0.5", "0.25")  # y downwards
    assert "cannot be read" in sections[2].text
    # The photo is drawn, and the box on it: its left edge lies at x = 3.
    pixel = "return [...document.querySelectorAll('canvas')[1].getContext('2d')"
    pixel += ".getImageData(arguments[0], 8, 1, 1).data].slice(0, 3)"
    assert page.execute_script(pixel, 15) == [20, 180, 0]
    assert page.execute_script(pixel, 3) == [48, 160, 255]


def test_the_cameras_picture(page):
    page.find_element(By.ID, "camera").click()
    ready = "return document.getElementById('video').videoWidth"
    width = until(page, lambda: page.execute_script(ready))
    page.find_element(By.ID, "shoot").click()
    (section,) = all_of(page, "#results section", 1)
    assert section.find_element(By.TAG_NAME, "h2").text == "camera"
    assert page.execute_script("return document.querySelector('canvas').width") == width


def test_too_many_photos_are_told(page, tmp_path):
    choose(page, *[write_picture(tmp_path / f"{n}.png", (0, 0, 0)) for n in range(17)])
    status = page.find_element(By.ID, "status")
    until(page, lambda: "send 1 to 16 pictures" in status.text)
    # Chromium writes the refused request into its console.
    assert all("400" in line["message"] for line in page.get_log("browser"))
