"""The page in a browser: a picture goes in, by file or camera, and the label of candid.predict comes out.

DEMO_SCREENSHOTS=FOLDER keeps what the browser shows, for the eye.
"""

from __future__ import annotations

import csv
import os
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from candid.backend import use_backend
from candid.demo.server import Server
from candid.demo.service import PredictionService
from candid.predict.command import main
from tests.demo.webdriver import driver, window
from tests.predict.predict_pictures import astronaut, encoded, make_model, noise

SHOWN = "return [...document.querySelectorAll('.face')].map(face => face.dataset.predicted)"
READY = "return document.body.dataset.ready === 'yes'"
BEYOND = """return [...document.querySelectorAll('main *')]
  .filter(element => element.getBoundingClientRect().right > innerWidth + 0.5)
  .map(element => element.outerHTML.slice(0, 80))"""
SMALL = """return [...document.querySelectorAll('button, select, .pick')]
  .filter(element => element.checkVisibility() && element.getBoundingClientRect().height < 44)
  .map(element => element.id || element.className)"""
CHOOSE = """const model = document.getElementById('model');
model.value = 1; model.dispatchEvent(new Event('change'))"""
FETCHED = "return performance.getEntriesByType('resource').map(entry => entry.name)"
BOX = """const box = document.querySelector('#boxes rect').getBoundingClientRect(),
  all = document.getElementById('picture').getBoundingClientRect();
return [(box.x - all.x) / all.width, (box.y - all.y) / all.height,
  box.width / all.width, box.height / all.height]"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    use_backend("tensorflow")
    folder = tmp_path_factory.mktemp("demo")
    make_model(folder / "one.keras")
    make_model(folder / "two.keras", size=40)
    (folder / "photo.jpg").write_bytes(encoded(astronaut(), "JPEG", quality=95))
    (folder / "none.png").write_bytes(encoded(noise(300, 200)))
    (folder / "text.png").write_text("words")
    head = astronaut().crop((100, 0, 360, 260))
    pair = Image.new("RGB", (520, 260))
    pair.paste(head, (0, 0))
    pair.paste(head, (260, 0))
    (folder / "pair.png").write_bytes(encoded(pair))
    return folder


@pytest.fixture(scope="module")
def predicted(folder):
    """The row of candid.predict for the same picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["predict", "photo.jpg", "--model", "one.keras"])
        main()
    with (folder / "predictions/predictions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


@pytest.fixture(scope="module")
def port():
    with driver() as port:
        yield port


@pytest.fixture(scope="module")
def server(folder):
    with Server(0, PredictionService([folder / "one.keras", folder / "two.keras"])) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def keep(page, name):
    if kept := os.environ.get("DEMO_SCREENSHOTS"):
        page.screenshot(Path(kept, f"{name}.png"))


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (375, 812), (320, 640)])
def test_a_picture_goes_in_and_the_label_of_tools_predict_comes_out(
    port, server, folder, predicted, width, height
):
    with window(port, width, height) as page:
        page.open(server.url)
        page.wait(READY)
        keep(page, f"empty-{width}")
        page.type("#file", str(folder / "photo.jpg"))
        assert page.wait(SHOWN) == [predicted["predicted"]]
        page.wait("return document.getElementById('picture').naturalWidth")
        box = [float(predicted[name]) / 512 for name in ("x", "y", "width", "height")]
        assert page.run(BOX) == pytest.approx(box, abs=0.01)
        share = 100 * float(predicted[f"p_{predicted['predicted']}"])
        assert page.run("return document.querySelector('.face dd').textContent") == f"{share:.0f} %"
        assert page.run(BEYOND) == []
        assert page.run(SMALL) == []
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        keep(page, f"photo-{width}")
        assert all(name.startswith((server.url, "data:")) for name in page.run(FETCHED))
        assert page.complaints() == []


def test_several_faces_are_told_apart_by_number(port, server, folder):
    with window(port, 1280, 900) as page:
        page.open(server.url)
        page.wait(READY)
        page.type("#file", str(folder / "pair.png"))
        assert len(page.wait(SHOWN)) == 2
        titles = page.run("return [...document.querySelectorAll('.face h2')].map(each => each.textContent)")
        assert [title.partition(" ")[0] for title in titles] == ["1.", "2."]
        numbers = page.run(
            "return [...document.querySelectorAll('#boxes text')].map(each => each.textContent)"
        )
        assert numbers == ["1", "2"]
        keep(page, "pair")
        assert page.complaints() == []


def test_faults_show_and_go_away(port, server, folder):
    with window(port, 900, 900) as page:
        page.open(server.url)
        page.wait(READY)
        page.type("#file", str(folder / "text.png"))
        page.wait("return !document.getElementById('error').hidden")
        said = page.run("return document.getElementById('error').textContent")
        assert said == "this file can't be used: no picture in a known format"
        page.type("#file", str(folder / "none.png"))
        page.wait("return document.getElementById('count').textContent === 'No face found'")
        assert page.run("return document.getElementById('error').hidden")
        page.click("#cropped")
        page.wait("return document.getElementById('count').textContent === '1 face'")
        page.run(
            "const m = document.getElementById('model'); m.value = 1; m.dispatchEvent(new Event('change'))"
        )
        page.wait("return document.getElementById('status').textContent.includes('two.keras')")
        unexpected = [line for line in page.complaints() if "422" not in line]
        assert unexpected == []


def test_the_camera_gives_the_picture(port, server, folder):
    """The browser's camera is a file that shows the astronaut."""
    shown = encoded(astronaut(), "JPEG", quality=95)
    film = folder / "camera.mjpeg"
    film.write_bytes(shown * 30)
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with window(port, 1000, 1400, *fake, f"--use-file-for-fake-video-capture={film}") as page:
        page.open(server.url)
        page.wait(READY)
        page.click("#start")
        page.wait("return document.getElementById('video').videoWidth")
        page.click("#shoot")
        assert len(page.wait(SHOWN)) == 1
        keep(page, "camera")
        page.click("#stop")
        assert page.run("return document.getElementById('camera').hidden")
        assert page.complaints() == []
