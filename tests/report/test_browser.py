"""The report in a browser: it fits on a phone, fetches nothing, and gives no cause for complaint."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common import WebDriverException

from candid.report.command import main
from tests.gate.project import Project, faces, worse

MEASURE = """
const beyond = element => element.getBoundingClientRect().right > window.innerWidth + 0.5;
const size = element => parseFloat(getComputedStyle(element).fontSize);
const all = selector => [...document.querySelectorAll(selector)];
return {
  scroll: document.documentElement.scrollWidth,
  images: [...document.images].map(image => image.naturalWidth),
  beyond: all('main *').filter(e => beyond(e) && !e.closest('.wide')).map(e => e.outerHTML.slice(0, 80)),
  small: all('p, dd, td').filter(element => size(element) < 11.5).length,
  fetched: performance.getEntriesByType('resource').map(one => one.name).filter(n => !n.startsWith('data:')),
};
"""


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """A Chromium without a window."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium and its driver on the path: apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    except WebDriverException as error:
        pytest.skip(f"the browser does not start here: {error}")
    yield started
    started.quit()


def test_it_fits_a_phone_and_a_desk_fetches_nothing_and_prints(
    browser: webdriver.Chrome, project: Project
) -> None:
    project.params["train"]["learning_rate"] = 0.0005
    project.results(worse(faces(), 60))
    main(["HEAD"])
    browser.get(Path("report/index.html").resolve().as_uri())
    for width in (320, 375, 1280):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        measured = browser.execute_script(MEASURE)
        assert measured["scroll"] <= width
        assert (measured["beyond"], measured["fetched"], measured["small"]) == ([], [], 0)
        assert all(measured["images"])
    assert browser.get_log("browser") == []
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12
