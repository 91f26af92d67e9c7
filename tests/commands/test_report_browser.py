"""The report in a browser: it fits on a phone, fetches nothing, and gives no cause for complaint."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from candid.report.command import main
from tests.commands.gate_project import faces, worse
from tests.commands.report_project import reported

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (320, 390, 1200)
HARNESS = """<!DOCTYPE html><title>wait</title>
%s<pre id="found"></pre><script>
const measure = frame => {
  const view = frame.contentWindow, page = view.document;
  const all = selector => [...page.querySelectorAll(selector)];
  const beyond = element => element.getBoundingClientRect().right > view.innerWidth + 0.5;
  const size = element => parseFloat(view.getComputedStyle(element).fontSize);
  const fetched = view.performance.getEntriesByType('resource').map(entry => entry.name);
  return {
    inner: view.innerWidth,
    scroll: page.documentElement.scrollWidth,
    images: [...page.images].map(image => image.naturalWidth),
    beyond: all('main *').filter(e => beyond(e) && !e.closest('.wide')).map(e => e.outerHTML.slice(0, 80)),
    small: all('p, dd, td').filter(element => size(element) < 11.5).length,
    charts: all('figure > svg').map(chart => chart.getBoundingClientRect().width / 360),
    fetched: fetched.filter(name => !name.startsWith('data:')),
  };
};
addEventListener('load', () => {
  const frames = [...document.querySelectorAll('iframe')];
  document.getElementById('found').textContent = JSON.stringify(frames.map(measure));
});
</script>"""
FRAME = '<iframe src="index.html" style="width:%dpx;height:800px;border:0"></iframe>\n'


@pytest.fixture(scope="module")
def browser() -> str:
    """Path of a Chromium that starts."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on the path: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs, with a regression, on disk."""
    project = reported(tmp_path_factory.mktemp("browser"))
    project.params["train"]["learning_rate"] = 0.0005
    project.results(worse(faces(), 60))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        main(["HEAD"])
    return project.root / "report" / "index.html"


def start(browser: str, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the browser without a window, without its own traffic, on a fresh profile."""
    try:
        return subprocess.run(
            [
                browser,
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--disable-background-networking", "--disable-extensions", "--no-first-run"),
                *("--allow-file-access-from-files", "--enable-logging=stderr"),
                f"--user-data-dir={page.parent / 'profile'}",
                *options,
            ],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the browser takes longer than four minutes here")


def test_it_fits_a_phone_and_a_desk_and_fetches_nothing(browser: str, page: Path) -> None:
    harness = page.with_name("harness.html")
    harness.write_text(HARNESS % "".join(FRAME % width for width in WIDTHS))
    done = start(browser, page, "--dump-dom", "--window-size=1400,900", harness.as_uri())
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.S)
    if found is None:
        pytest.skip(f"the browser does not start here: {done.stderr[-300:]}")
    for width, measured in zip(WIDTHS, json.loads(unescape(found.group(1))), strict=True):
        assert measured["inner"] == width
        assert measured["scroll"] <= width
        assert measured["beyond"] == []
        assert measured["fetched"] == []
        assert measured["small"] == 0
        assert all(measured["images"])
        assert min(measured["charts"]) >= 0.75, "text in a chart would be too small to read"
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []


def test_it_prints(browser: str, page: Path) -> None:
    target = page.with_suffix(".pdf")
    done = start(browser, page, "--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri())
    if not target.exists():
        pytest.skip(f"the browser does not print here: {done.stderr[-300:]}")
    sheets = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
    assert 3 <= sheets <= 12
