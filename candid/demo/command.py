"""A local page to try a model with: candid demo [--port 8765] [--model FILE...]

Listens on 127.0.0.1 only; Ctrl-C stops it. No picture is stored, and nothing is fetched.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import io
import json
import re
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from candid.cli import Parser
from candid.data.archives import UnreadableError
from candid.data.images import open_picture
from candid.errors import CandidError
from candid.html import data_uri
from candid.predict.classifier import default_model, load_classifier
from candid.predict.detectors import DEFAULT, DETECTORS, make_detector
from candid.predict.faces import find_faces, label, reduced

ADDRESS = "127.0.0.1"
TRAINED = Path("models/model.keras")
LIMIT = 64 << 20  # bytes of a picture's file
AT_ONCE = 4  # pictures that are held in memory
PATIENCE = 60  # seconds that a client may stay silent
SHOWN = 1280  # pixels of the longer side of what goes back to the page


def main(arguments: list[str] | None = None) -> None:
    """Load the first model, listen, answer until Ctrl-C."""
    parser = Parser(prog="candid demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0 for any that is free; default: 8765")
    default = f"to choose from; default: the one that ships and {TRAINED}"
    parser.add_argument("--model", type=Path, nargs="+", help=default)
    options = parser.parse_args(arguments)
    models = options.model or [*filter(Path.exists, [default_model(), TRAINED])]
    if not models:
        raise CandidError(f"no model: expected --model FILE or {TRAINED} (`dvc repro` trains one)")
    service = PredictionService(models)
    try:
        server = Server(options.port, service)
    except (OSError, OverflowError) as error:
        busy = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "is in use" if busy else f"can't be used: {error}"
        raise CandidError(f"port {options.port} on {ADDRESS} {reason}; expected a free one: --port") from None
    with server:
        print(f"model: {service.classifier(models[0]).describe()}")
        print(f"open {server.url} in a browser of this machine; Ctrl-C stops it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def read_page() -> tuple[bytes, str]:
    """Read page.html and make its Content-Security-Policy: this script, this machine, and nothing else."""
    html = Path(__file__).with_name("page.html").read_text(encoding="utf-8").replace("__LIMIT__", str(LIMIT))
    script = re.search("<script>(.*)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return html.encode(), policy


class PredictionService:
    """Keeps models and detectors once they are loaded; neither may be used by two threads at once."""

    def __init__(self, models: Sequence[Path]) -> None:
        self.models = list(models)
        self.detectors = [DEFAULT, *sorted(set(DETECTORS) - {DEFAULT})]
        self.classifier, self._detector = cache(load_classifier), cache(make_detector)
        self._lock = threading.Lock()

    def predict(self, data: bytes, model: Path, detector: str, cropped: bool) -> dict[str, Any]:
        """Find and label the faces of a picture's file, as candid.predict does.

        Returns width, height of the upright picture, in pixels; faces: box (x, y, width, height), score,
        predicted, probabilities; picture: a small copy as a data URI; model, detector, seconds.
        CandidError: no picture, no such model or detector.
        """
        with self._lock:
            started = time.perf_counter()
            classifier = self.classifier(model)
            try:
                image = open_picture(data)
            except UnreadableError as error:
                raise CandidError(f"this file can't be used: {error}") from None
            faces = find_faces(image, None if cropped else self._detector(detector), classifier.card)
            copy = io.BytesIO()
            reduced(image, SHOWN).save(copy, "JPEG", quality=85)
            return {
                "width": image.width,
                "height": image.height,
                "faces": [face.as_dict() for face in label(faces, classifier)],
                "picture": data_uri(copy.getvalue(), "image/jpeg"),
                "model": str(classifier.path),
                "detector": "none" if cropped else detector,
                "seconds": time.perf_counter() - started,
            }


class Server(ThreadingHTTPServer):
    """Listens on ADDRESS; port 0 takes any that is free."""

    daemon_threads = True

    def __init__(self, port: int, service: PredictionService) -> None:
        self.service = service
        self.page, self.policy = read_page()
        self.slots = threading.BoundedSemaphore(AT_ONCE)
        super().__init__((ADDRESS, port), Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/"


class RefusedError(Exception):
    """A request that gets no answer but this status and line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = PATIENCE
    body_read = False
    server_version = "Candid"
    sys_version = ""

    def do_GET(self) -> None:
        """The page, and what can be chosen on it."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A picture: POST /predict?model=0&detector=mtcnn[&cropped=1], its file as the body."""
        self._answer(self._predict)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: requests are private, and errors go to the page."""

    def _answer(self, make: Callable[[], Any]) -> None:
        """Send what `make` gives, bytes of HTML or a value for JSON; a fault is one line with its status."""
        status, line = 200, ""
        try:
            self._check_sender()
            body = make()
        except (TimeoutError, ConnectionError):
            self.close_connection = True
            return
        except RefusedError as error:
            status, line = error.status, str(error)
        except CandidError as error:
            status, line = 422, str(error)
        except MemoryError:
            status, line = 507, "out of memory"
        except Exception as error:  # a fault of the program: the page says so, the terminal where
            traceback.print_exc()
            status, line = 500, f"a fault of the demo itself: {type(error).__name__}: {error}"
        if line:
            body = {"error": " ".join(line.split())}
            self._pass_over()
        try:
            self._send(status, body)
        except (TimeoutError, ConnectionError):
            self.close_connection = True

    def _check_sender(self) -> None:
        """Other sites may not use this server through a visitor's browser, by whatever name."""
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.hosts or (
            origin is not None and origin not in {f"http://{host}" for host in self.server.hosts}
        ):
            raise RefusedError(403, f"expected a request from {self.server.url}")

    def _get(self) -> Any:
        path, service = self.path.partition("?")[0], self.server.service
        if path == "/":
            return self.server.page
        if path == "/choices":
            return {"models": [str(model) for model in service.models], "detectors": service.detectors}
        raise RefusedError(404, "no such page")

    def _predict(self) -> Any:
        path, _, query = self.path.partition("?")
        if path != "/predict":
            raise RefusedError(404, "no such page")
        values = {name: values[-1] for name, values in parse_qs(query).items()}
        service, number, detector = self.server.service, values.get("model", "0"), values.get("detector")
        detector = detector or service.detectors[0]
        models = {str(place): model for place, model in enumerate(service.models)}
        if number not in models or detector not in service.detectors:
            choices = f"model {number[:20]!r}, detector {detector[:20]!r}"
            raise RefusedError(400, f"{choices}: not among the choices")
        if not self.server.slots.acquire(blocking=False):
            raise RefusedError(503, f"{AT_ONCE} pictures are in work already: try again")
        try:
            return service.predict(self._body(), models[number], detector, values.get("cropped") == "1")
        finally:
            self.server.slots.release()

    def _body(self) -> bytes:
        length = self._length()
        if length is None:
            raise RefusedError(411, "expected a picture's file of a known length")
        if length > LIMIT:
            raise RefusedError(413, f"{length:,} bytes; at most {LIMIT:,} are taken")
        self.body_read = True
        data = self.rfile.read(length)
        if len(data) < length:
            raise RefusedError(400, "the picture's file was cut short")
        return data

    def _length(self) -> int | None:
        length = self.headers.get("Content-Length") or ""
        return int(length) if re.fullmatch("[0-9]{1,19}", length) else None

    def _pass_over(self) -> None:
        """Read a body of a sane length and forget it: closed on unread bytes, the client sees no answer."""
        rest = self._length() or 0
        if self.body_read or rest > LIMIT:
            return
        with contextlib.suppress(TimeoutError, ConnectionError):
            while rest > 0 and (chunk := self.rfile.read(min(rest, 1 << 16))):
                rest -= len(chunk)

    def _send(self, status: int, body: Any) -> None:
        page = isinstance(body, bytes)
        content = body if page else json.dumps(body, allow_nan=False).encode()  # ASCII, as odd names need
        self.send_response(status)
        for name, value in {
            "Content-Type": "text/html; charset=utf-8" if page else "application/json",
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": self.server.policy,
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
