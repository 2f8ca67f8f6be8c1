"""Headless Chromium, for the tests of pages."""

import contextlib
import shutil

import pytest

SWITCHES = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1500,1000"),
    # a camera that shows a pattern, and no question whether it may
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
]


@contextlib.contextmanager
def chromium(downloads):
    """Yields a browser, whose `downloads` is the folder given; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in SWITCHES:
        options.add_argument(switch)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.downloads = str(downloads)
    try:
        yield browser
    finally:
        browser.quit()
