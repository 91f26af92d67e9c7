"""What the page's server answers, to whom, and what it refuses."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.client import HTTPConnection
from pathlib import Path

import pytest
from PIL import Image

from candid.backend import use_backend
from candid.demo import server as server_module
from candid.demo.server import LIMIT, Server
from candid.demo.service import PredictionService
from tests.predict.predict_pictures import CLASSES, astronaut, encoded, exif, make_model, noise, on_face
from tests.predict.tiny_model import write_tiny

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    use_backend("tensorflow")
    folder = tmp_path_factory.mktemp("models")
    (folder / "text.keras").write_text("no model")
    return [
        make_model(folder / "tiny.keras"),
        folder / "text.keras",
        make_model(folder / "two.keras", size=40),
    ]


@pytest.fixture(scope="module")
def server(models):
    with Server(0, PredictionService(models)) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def ask(server):
    """Send one request; gives status, headers and what the JSON says (or the text)."""

    def call(method, path, body=None, headers=None, host=None):
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        given = {"Host": host or f"127.0.0.1:{server.server_port}", **(headers or {})}
        connection.request(method, path, body=body, headers=given)
        reply = connection.getresponse()
        data = reply.read()
        connection.close()
        json_sent = reply.headers["Content-Type"] == "application/json"
        return reply.status, reply.headers, json.loads(data) if json_sent else data.decode()

    return call


def test_it_listens_on_this_machine_only(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_the_page_fetches_nothing_from_elsewhere(ask):
    status, headers, page = ask("GET", "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy.replace("http-equiv", "")
    assert set(re.findall(r"https?://[^\"'\s]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "does not measure what a person feels" in " ".join(page.split())
    assert "docs/responsible-use.md" in page
    assert str(LIMIT) in page


def test_the_choices_are_the_models_and_detectors(ask, models):
    _, _, choices = ask("GET", "/choices")
    assert choices == {"models": list(map(str, models)), "detectors": ["mtcnn", "cascade"]}


@pytest.mark.parametrize("detector", ["mtcnn", "cascade"])
def test_a_picture_gets_boxes_and_probabilities(ask, models, detector):
    turned = astronaut().transpose(Image.Transpose.ROTATE_90)
    status, headers, answer = ask(
        "POST", f"/predict?model=2&detector={detector}", encoded(turned, "JPEG", exif=exif(6))
    )
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert (answer["width"], answer["height"]) == (512, 512)
    (face,) = answer["faces"]
    assert on_face(face["box"])
    assert list(face["probabilities"]) == list(CLASSES)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["predicted"] == max(face["probabilities"], key=face["probabilities"].get)
    assert answer["model"] == str(models[2])
    shown = Image.open(io.BytesIO(base64.b64decode(answer["picture"].partition(",")[2])))
    assert shown.size == (512, 512)


def test_the_answer_is_that_of_tools_predict(ask, models, tmp_path, monkeypatch):
    from candid.predict.command import main

    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").write_bytes(encoded(astronaut(), "JPEG"))
    monkeypatch.setattr(sys, "argv", ["predict", "photo.jpg", "--model", str(models[0])])
    main()
    with Path("predictions/predictions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    (face,) = ask("POST", "/predict", Path("photo.jpg").read_bytes())[2]["faces"]
    assert face["box"] == [int(row[name]) for name in ("x", "y", "width", "height")]
    assert face["predicted"] == row["predicted"]
    assert face["probabilities"] == pytest.approx(
        {name: float(row[f"p_{name}"]) for name in CLASSES}, rel=2e-5
    )


def test_no_face_is_an_answer_and_a_whole_picture_can_be_the_face(ask):
    data = encoded(noise(200, 100))
    assert ask("POST", "/predict", data)[2]["faces"] == []
    (face,) = ask("POST", "/predict?cropped=1", data)[2]["faces"]
    assert face["box"] == [0, 0, 200, 100]
    assert face["score"] is None


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/predict", b"words", 422, "no picture in a known format"),
        ("/predict", encoded(astronaut(96))[:2000], 422, "damaged picture"),
        ("/predict", b"", 422, "0 bytes"),
        ("/predict?model=1", b"x", 422, "not a .keras file"),
        ("/predict?model=9", b"x", 422, "expected 0 to 2"),
        ("/predict?model=-1", b"x", 400, "not among the choices"),
        ("/predict?model=%C2%B2", b"x", 400, "not among the choices"),
        ("/predict?detector=x", b"x", 400, "not among the choices"),
        ("/predict?model=" + 5000 * "9", b"x", 400, "not among the choices"),
        ("http://[/predict", b"x", 400, "Invalid IPv6 URL"),
        ("/other", b"x", 404, "no such page"),
        ("/../pyproject.toml", b"x", 404, "no such page"),
    ],
)
def test_what_can_not_be_answered_is_told_in_one_line(ask, path, body, status, words):
    got, _, answer = ask("POST", path, body)
    assert got == status
    assert words in answer["error"]
    assert "\n" not in answer["error"]


def test_an_address_that_is_none_is_told(ask):
    status, _, answer = ask("GET", "http://[/")
    assert status == 400
    assert "Invalid IPv6 URL" in answer["error"]


def test_a_fault_of_the_program_is_an_answer_too(ask, server, monkeypatch, capfd):
    def fail(*_):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(server.service, "predict", fail)
    status, _, answer = ask("POST", "/predict", b"x")
    assert status == 500
    assert answer["error"] == "a fault of the demo itself: ZeroDivisionError: two lines"
    assert "ZeroDivisionError" in capfd.readouterr().err, "where it happened is for a bug report"


def test_a_file_that_is_too_large_is_refused_unread(ask):
    status, _, answer = ask("POST", "/predict", headers={"Content-Length": str(LIMIT + 1)})
    assert status == 413
    assert "at most" in answer["error"]
    assert ask("POST", "/predict", headers={"Content-Length": "many"})[0] == 411


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("evil.example", {}),
        ("127.0.0.1:1", {}),
        (None, {"Origin": "https://evil.example"}),
        (None, {"Origin": "null"}),
    ],
)
def test_other_sites_are_refused(ask, host, headers):
    assert ask("POST", "/predict", encoded(noise(9, 9)), headers, host)[0] == 403
    assert ask("GET", "/", None, headers, host)[0] == 403


def test_the_page_itself_is_not_refused(ask, server):
    origin = {"Origin": f"http://localhost:{server.server_port}"}
    assert ask("POST", "/predict", encoded(noise(9, 9)), origin, f"localhost:{server.server_port}")[0] == 200


def test_requests_at_once_are_all_answered_alike(ask):
    data = encoded(astronaut(), "JPEG")
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask("POST", "/predict?detector=cascade", data)))
        for _ in range(server_module.AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _, _ in answers] == [200] * server_module.AT_ONCE
    assert len({json.dumps(answer["faces"]) for _, _, answer in answers}) == 1


def test_more_than_memory_allows_are_asked_to_come_back(ask, server):
    for _ in range(server_module.AT_ONCE):
        assert server.places.acquire(blocking=False)
    try:
        status, _, answer = ask("POST", "/predict", encoded(noise(9, 9)))
        assert status == 503
        assert "try again" in answer["error"]
        assert ask("GET", "/")[0] == 200
    finally:
        for _ in range(server_module.AT_ONCE):
            server.places.release()


def test_a_client_that_leaves_halfway_harms_nobody(ask, server, capfd):
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Length: 1000\r\n\r\n"
        )
        client.sendall(head.encode() + b"half")
    assert ask("POST", "/predict", encoded(noise(9, 9)))[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "candid", "demo", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where tests run in the background, a shell has children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_the_command_says_where_it_is_and_stops_on_ctrl_c(models, tmp_path):
    process = start(tmp_path, "--port", "0", "--model", str(models[0]))
    assert process.stdout is not None
    assert str(models[0]) in process.stdout.readline()
    assert re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
    time.sleep(0.2)  # from the line to the loop
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 0
    assert complaint == ""


def test_a_port_in_use_ends_in_one_line(server, tmp_path):
    process = start(tmp_path, "--model", "x.keras", "--port", str(server.server_port))
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaint.startswith("candid demo: ")
    assert complaint.count("\n") == 1
    assert "is in use" in complaint


def test_a_model_whose_name_is_not_utf8_is_among_the_choices(tmp_path):
    path = write_tiny(tmp_path / "a\udcff.keras")
    server = Server(0, PredictionService([path]))
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"{server.url}choices") as answer:
            assert json.loads(answer.read())["models"]
        server.shutdown()
