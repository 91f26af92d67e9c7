"""A Chromium without a window, for the tests of pages; they are skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver
from selenium.common import WebDriverException
from selenium.webdriver.support.ui import WebDriverWait


@contextmanager
def browser(width: int, height: int, *arguments: str) -> Iterator[webdriver.Chrome]:
    """A fresh browser of this size; below 500 pixels as a phone's."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium and its driver on the path: apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    quiet = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    for argument in (*quiet, f"--window-size={width},{height}", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if width < 500:
        metrics = {"width": width, "height": height, "pixelRatio": 2}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    try:
        started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    except WebDriverException as error:
        pytest.skip(f"the browser does not start here: {error}")
    try:
        yield started
    finally:
        started.quit()


def wait(page: webdriver.Chrome, script: str) -> Any:
    """First true value of a script."""
    return WebDriverWait(page, 60, 0.05).until(lambda _: page.execute_script(script))


def complaints(page: webdriver.Chrome) -> list[str]:
    """What the page's console holds since the last call."""
    return [entry["message"] for entry in page.get_log("browser")]
