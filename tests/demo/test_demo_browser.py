"""The page in a browser: a picture goes in, by file or camera, and the label of candid.predict comes out.

DEMO_SCREENSHOTS=FOLDER keeps what the browser shows, for the eye.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.browser import browser, complaints, wait
from tests.predict.predict_pictures import astronaut, encoded, noise, pair

SHOWN = "return [...document.querySelectorAll('.face')].map(face => face.dataset.predicted)"
BEYOND = """return [...document.querySelectorAll('main *')]
  .filter(element => element.getBoundingClientRect().right > innerWidth + 0.5)
  .map(element => element.outerHTML.slice(0, 80))"""
SMALL = """return [...document.querySelectorAll('button, select, .pick')]
  .filter(element => element.checkVisibility() && element.getBoundingClientRect().height < 44)
  .map(element => element.id || element.className)"""
CHOOSE = "const m = document.getElementById('model'); m.value = 2; m.dispatchEvent(new Event('change'))"
FETCHED = "return performance.getEntriesByType('resource').map(entry => entry.name)"
TEXTS = "return [...document.querySelectorAll('{}')].map(each => each.textContent)"
BOX = """const box = document.querySelector('#boxes rect').getBoundingClientRect(),
  all = document.getElementById('picture').getBoundingClientRect();
return [(box.x - all.x) / all.width, (box.y - all.y) / all.height,
  box.width / all.width, box.height / all.height]"""


@contextmanager
def demo(server, width, height, *arguments):
    with browser(width, height, *arguments) as page:
        page.get(server.url)
        wait(page, "return document.body.dataset.ready === 'yes'")
        yield page


def choose(page, path):
    page.find_element(By.ID, "file").send_keys(str(path))


def click(page, name):
    page.find_element(By.ID, name).click()


def keep(page, name):
    if kept := os.environ.get("DEMO_SCREENSHOTS"):
        page.save_screenshot(str(Path(kept, f"{name}.png")))


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (375, 812), (320, 640)])
def test_a_picture_goes_in_and_the_label_of_predict_comes_out(server, photo, predicted, width, height):
    with demo(server, width, height) as page:
        choose(page, photo)
        assert wait(page, SHOWN) == [predicted["predicted"]]
        wait(page, "return document.getElementById('picture').naturalWidth")
        box = [float(predicted[name]) / 512 for name in ("x", "y", "width", "height")]
        assert page.execute_script(BOX) == pytest.approx(box, abs=0.01)
        share = 100 * float(predicted[f"p_{predicted['predicted']}"])
        assert page.execute_script(TEXTS.format(".face dd"))[0] == f"{share:.0f} %"
        assert page.execute_script(BEYOND) == page.execute_script(SMALL) == []
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        keep(page, f"photo-{width}")
        assert all(name.startswith((server.url, "data:")) for name in page.execute_script(FETCHED))
        assert complaints(page) == []


def test_several_faces_are_numbered_and_faults_show_and_go_away(server, tmp_path):
    files = {"pair.png": encoded(pair()), "none.png": encoded(noise(300, 200)), "text.png": b"words"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with demo(server, 1280, 900) as page:
        choose(page, tmp_path / "pair.png")
        assert len(wait(page, SHOWN)) == 2
        titles = page.execute_script(TEXTS.format(".face h2"))
        assert [title.partition(" ")[0] for title in titles] == ["1.", "2."]
        assert page.execute_script(TEXTS.format("#boxes text")) == ["1", "2"]
        keep(page, "pair")
        choose(page, tmp_path / "text.png")
        wait(page, "return !document.getElementById('error').hidden")
        fault = page.execute_script("return document.getElementById('error').textContent")
        assert fault == "this file can't be used: no picture in a known format"
        choose(page, tmp_path / "none.png")
        wait(page, "return document.getElementById('count').textContent === 'No face found'")
        assert page.execute_script("return document.getElementById('error').hidden")
        click(page, "cropped")
        wait(page, "return document.getElementById('count').textContent === '1 face'")
        page.execute_script(CHOOSE)
        wait(page, "return document.getElementById('status').textContent.includes('two.keras')")
        assert [line for line in complaints(page) if "422" not in line] == []


def test_the_camera_gives_the_picture(server, tmp_path):
    """The browser's camera is a file that shows the astronaut."""
    film = tmp_path / "camera.mjpeg"
    film.write_bytes(encoded(astronaut(), "JPEG", quality=95) * 30)
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with demo(server, 1000, 1400, *fake, f"--use-file-for-fake-video-capture={film}") as page:
        click(page, "start")
        wait(page, "return document.getElementById('video').videoWidth")
        click(page, "shoot")
        assert len(wait(page, SHOWN)) == 1
        keep(page, "camera")
        click(page, "stop")
        assert page.execute_script("return document.getElementById('camera').hidden")
        assert complaints(page) == []
