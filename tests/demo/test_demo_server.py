"""What the page's server answers, to whom, and what it refuses."""

from __future__ import annotations

import base64
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
from http.client import HTTPConnection

import pytest
from PIL import Image

from candid.demo.command import AT_ONCE, LIMIT, PredictionService
from tests.conftest import REPOSITORY
from tests.predict.predict_pictures import astronaut, encoded, exif, noise, on_face
from tests.predict.tiny_model import CLASSES

DOT = encoded(noise(9, 9))


@pytest.fixture
def ask(server):
    """Send one request; gives status, headers and what the JSON says (or the text)."""

    def call(method, path, body=None, headers=None, host=None):
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        host = host or f"127.0.0.1:{server.server_port}"
        connection.request(method, path, body=body, headers={"Host": host, **(headers or {})})
        reply = connection.getresponse()
        data = reply.read()
        connection.close()
        json_sent = reply.headers["Content-Type"] == "application/json"
        return reply.status, reply.headers, json.loads(data) if json_sent else data.decode()

    return call


def test_the_page_is_served_on_this_machine_only_and_fetches_nothing_from_elsewhere(ask, server, models):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    status, headers, page = ask("GET", "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy.replace("http-equiv", "")
    assert set(re.findall(r"https?://[^\"'\s]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "does not measure what a person feels" in " ".join(page.split())
    assert "docs/responsible-use.md" in page
    assert str(LIMIT) in page
    choices = ask("GET", "/choices")[2]
    assert choices == {"models": list(map(str, models)), "detectors": ["mtcnn", "cascade"]}


@pytest.mark.parametrize("detector", ["mtcnn", "cascade"])
def test_a_picture_gets_boxes_and_probabilities(ask, models, detector):
    turned = encoded(astronaut().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif(6))
    status, headers, answer = ask("POST", f"/predict?model=2&detector={detector}", turned)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert (answer["width"], answer["height"], answer["model"]) == (512, 512, str(models[2]))
    (face,) = answer["faces"]
    assert on_face(face["box"])
    assert list(face["probabilities"]) == list(CLASSES)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["predicted"] == max(face["probabilities"], key=face["probabilities"].get)
    shown = Image.open(io.BytesIO(base64.b64decode(answer["picture"].partition(",")[2])))
    assert shown.size == (512, 512)


def test_the_answer_is_that_of_predict(ask, photo, predicted):
    (face,) = ask("POST", "/predict", photo.read_bytes())[2]["faces"]
    assert face["box"] == [int(predicted[name]) for name in ("x", "y", "width", "height")]
    assert face["predicted"] == predicted["predicted"]
    shares = {name: float(predicted[f"p_{name}"]) for name in CLASSES}
    assert face["probabilities"] == pytest.approx(shares, rel=2e-5)


def test_no_face_is_an_answer_and_a_whole_picture_can_be_the_face(ask):
    data = encoded(noise(200, 100))
    assert ask("POST", "/predict", data)[2]["faces"] == []
    (face,) = ask("POST", "/predict?cropped=1", data)[2]["faces"]
    assert (face["box"], face["score"]) == ([0, 0, 200, 100], None)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/predict", b"words", 422, "no picture in a known format"),
        ("/predict", b"", 422, "0 bytes"),
        ("/predict?model=1", b"x", 422, "not a .keras file"),
        ("/predict?model=9", b"x", 400, "not among the choices"),
        ("/predict?model=-1", b"x", 400, "not among the choices"),
        ("/predict?model=%C2%B2", b"x", 400, "not among the choices"),
        ("/predict?detector=x", b"x", 400, "not among the choices"),
        ("/predict?model=" + 5000 * "9", b"x", 400, "not among the choices"),
        ("http://[/predict", b"x", 404, "no such page"),
        ("http://[/", None, 404, "no such page"),
        ("/other", b"x", 404, "no such page"),
    ],
)
def test_what_can_not_be_answered_is_one_line(ask, path, body, status, words):
    got, _, answer = ask("GET" if body is None else "POST", path, body)
    assert got == status
    assert words in answer["error"]
    assert "\n" not in answer["error"]


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


def test_other_sites_are_refused_and_the_page_itself_is_not(ask, server):
    for host, origin in (
        ("evil.example", None),
        ("127.0.0.1:1", None),
        (None, "https://evil.example"),
        (None, "null"),
    ):
        headers = {"Origin": origin} if origin else {}
        assert ask("POST", "/predict", DOT, headers, host)[0] == 403
        assert ask("GET", "/", None, headers, host)[0] == 403
    own = f"localhost:{server.server_port}"
    assert ask("POST", "/predict", DOT, {"Origin": f"http://{own}"}, own)[0] == 200


def test_requests_at_once_are_all_answered_alike_and_more_are_asked_to_come_back(ask, server):
    data, answers = encoded(astronaut(), "JPEG"), []
    calls = [threading.Thread(target=lambda: answers.append(ask("POST", "/predict?detector=cascade", data)))
             for _ in range(AT_ONCE)]  # fmt: skip
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert [status for status, _, _ in answers] == [200] * AT_ONCE
    assert len({json.dumps(answer["faces"]) for _, _, answer in answers}) == 1
    for _ in range(AT_ONCE):
        assert server.slots.acquire(blocking=False)
    try:
        status, _, answer = ask("POST", "/predict", DOT)
        assert status == 503
        assert "try again" in answer["error"]
        assert ask("GET", "/")[0] == 200
    finally:
        server.slots.release(AT_ONCE)


def test_a_client_that_leaves_halfway_harms_nobody(ask, server, capfd):
    host = f"127.0.0.1:{server.server_port}"
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\nhalf"
        client.sendall(head.encode())
    assert ask("POST", "/predict", DOT)[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "candid", "demo", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
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
    _, complaint = process.communicate(timeout=120)
    assert (process.returncode, complaint) == (0, "")


def test_a_port_in_use_ends_in_one_line(server, tmp_path):
    process = start(tmp_path, "--model", "x.keras", "--port", str(server.server_port))
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint.count("\n")) == (1, 1)
    assert complaint.startswith("candid demo: ")
    assert "is in use" in complaint


def test_a_model_whose_name_is_not_utf8_is_among_the_choices(ask, server, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "service", PredictionService([tmp_path / "a\udcff.keras"]))
    assert ask("GET", "/choices")[2]["models"] == [str(tmp_path / "a\udcff.keras")]
