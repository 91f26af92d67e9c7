"""The few calls of the WebDriver protocol that the tests need, over plain HTTP: no Selenium."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key that the standard gives an element's id
QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-extensions", "--disable-component-update"),
)


class Page:
    """One browser window."""

    def __init__(self, port: int, session: str) -> None:
        self._port, self._session = port, session

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a command of this session; AssertionError with the driver's words where it fails."""
        return send(self._port, method, f"/session/{self._session}{path}", body)

    def open(self, url: str) -> None:
        self.call("POST", "/url", {"url": url})

    def run(self, script: str) -> Any:
        """Value of a script that returns one."""
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def find(self, selector: str) -> str:
        found: dict[str, str] = self.call("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def click(self, selector: str) -> None:
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into an element; into a file field, the file's path."""
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def wait(self, script: str, seconds: float = 60) -> Any:
        """First true value of a script."""
        return until(lambda: self.run(script), seconds)

    def complaints(self) -> list[str]:
        """What the page's console has said since it was asked last."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))


def until(ask: Callable[[], Any], seconds: float) -> Any:
    """First true answer; AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        if answer := ask():
            return answer
        assert time.monotonic() < end, "the browser does not get there"
        time.sleep(0.05)


def send(port: int, method: str, path: str, body: dict[str, Any] | None) -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, None if body is None else json.dumps(body))
    reply = connection.getresponse()
    value = json.loads(reply.read())["value"]
    connection.close()
    assert reply.status == 200, value
    return value


@contextmanager
def driver() -> Iterator[int]:
    """A running chromedriver's port; skips where there is none."""
    if not shutil.which("chromedriver") or not any(map(shutil.which, BROWSERS)):
        pytest.skip("no Chromium with its driver on the path: apt-get install chromium chromium-driver")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)
    try:
        until(lambda: _ready(port), 60)
        yield port
    finally:
        process.terminate()
        process.wait()


def _ready(port: int) -> bool:
    try:
        return bool(send(port, "GET", "/status", None)["ready"])
    except OSError:
        return False


@contextmanager
def window(port: int, width: int, height: int, *options: str) -> Iterator[Page]:
    """A fresh browser of this size; below 500 pixels as a phone's."""
    chrome: dict[str, Any] = {"args": [*QUIET, f"--window-size={width},{height}", *options]}
    chrome["binary"] = next(filter(None, map(shutil.which, BROWSERS)))
    if width < 500:
        chrome["mobileEmulation"] = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2}}
    wanted = {"goog:chromeOptions": chrome, "goog:loggingPrefs": {"browser": "ALL"}}
    try:
        made = send(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
    except AssertionError as error:
        pytest.skip(f"the browser does not start here: {str(error)[:300]}")
    page = Page(port, made["sessionId"])
    try:
        yield page
    finally:
        page.call("DELETE", "")
