"""The report in a browser: it fits on a phone, fetches nothing, and gives no cause for complaint."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from candid.report.command import main
from tests.browser import browser, complaints
from tests.gate.project import faces, worse

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


def test_it_fits_a_phone_and_a_desk_fetches_nothing_and_prints(project):
    project.params["train"]["learning_rate"] = 0.0005
    project.results(worse(faces(), 60))
    main(["HEAD"])
    with browser(1280, 900) as page:
        page.get(Path("report/index.html").resolve().as_uri())
        for width in (320, 375, 1280):
            metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            measured = page.execute_script(MEASURE)
            assert measured["scroll"] <= width
            assert (measured["beyond"], measured["fetched"], measured["small"]) == ([], [], 0)
            assert all(measured["images"])
        assert complaints(page) == []
        printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12
