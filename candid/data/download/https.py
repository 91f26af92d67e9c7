"""Fetch a file over HTTPS: what has come is kept, and the next attempt or the next run goes on from there."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from candid.errors import CandidError

BLOCK = 1 << 18
TIMEOUT_SECONDS = 30
ATTEMPTS = 6
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})

Sleep = Callable[[float], None]


class InterruptedFetchError(Exception):
    """An attempt that failed in a way that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: object, wait: float = 0.0) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.wait = wait


class HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not out of HTTPS."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request for `newurl`, or an error where that isn't HTTPS."""
        if not newurl.startswith("https://"):
            raise CandidError(f"{req.full_url}: redirects to {newurl}; expected an https address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def https_opener() -> urllib.request.OpenerDirector:
    """An opener that speaks HTTPS and nothing else: no http, ftp or file, not by redirect either."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        HttpsRedirects,
    ):
        opener.add_handler(handler())
    return opener


def fetch(
    url: str,
    part: Path,
    opener: urllib.request.OpenerDirector | None = None,
    sleep: Sleep = time.sleep,
    attempts: int = ATTEMPTS,
) -> None:
    """Fetch `url` into `part`, going on from what `part` holds already.

    Beside it stands `part` + .json with the server's name for the version of which it is a piece; where the
    server has none, or another one by now, the file is fetched from its beginning. Between attempts the wait
    doubles. When this returns, `part` is as long as the server said; the checksum is the caller's to check.

    Raises:
        CandidError: the address is not there, or all attempts failed; what has come stays in `part`.
    """
    opener = opener or https_opener()
    part.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, attempts + 1):
        try:
            _attempt(url, part, opener)
            return
        except InterruptedFetchError as error:
            if attempt == attempts:
                kept = f"; {part.stat().st_size:,} bytes are kept in {part}" if part.exists() else ""
                raise CandidError(
                    f"{url}: {error}, {attempts} times over{kept}; run again to go on from there"
                ) from None
            sleep(min(max(error.wait, FIRST_WAIT_SECONDS * 2 ** (attempt - 1)), LONGEST_WAIT_SECONDS))


def _attempt(url: str, part: Path, opener: urllib.request.OpenerDirector) -> None:
    done, version = _so_far(part)
    headers = {"User-Agent": "candid", "Accept-Encoding": "identity"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": version}
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing lies behind what is here: it is whole, or too long
            if (error.headers.get("Content-Range") or "").endswith(f"*/{done}"):
                return
            part.unlink()
        elif error.code not in WORTH_ANOTHER_TRY:
            raise CandidError(f"{url}: the server answers {error.code} {error.reason}") from None
        raise InterruptedFetchError(f"{error.code} {error.reason}", _retry_after(error)) from None
    except urllib.error.URLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error.reason):
            raise CandidError(f"{url}: {error.reason}") from None
        raise InterruptedFetchError(error.reason) from None
    except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
        raise InterruptedFetchError(error) from None
    with response:
        _receive(response, part, done)


def _receive(response: Any, part: Path, done: int) -> None:
    """Append the answer to what is there (206), or start again with it (200)."""
    if response.status == 206:
        start, total = _content_range(response.headers.get("Content-Range", ""))
        if start != done:
            part.unlink()
            raise InterruptedFetchError(f"asked for bytes from {done}, got them from {start}")
    else:
        done = 0
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        part.unlink(missing_ok=True)  # first, so that old bytes never stand beside a new version's name
        _note_version(part, response.headers)
    bar = tqdm(
        desc=part.stem, total=total, initial=done, unit="B", unit_scale=True, unit_divisor=1024, disable=None
    )
    with part.open("ab" if done else "wb") as file, bar:
        while block := _read(response):
            file.write(block)
            bar.update(len(block))
            done += len(block)
    if total is not None and done < total:
        raise InterruptedFetchError(f"the connection ended after {done:,} of {total:,} bytes")


def _read(response: Any) -> bytes:
    """The next block. Only faults of the connection are worth another try: a full disk is another matter."""
    try:
        block: bytes = response.read(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise InterruptedFetchError(error) from None
    return block


def _so_far(part: Path) -> tuple[int, str]:
    """Bytes that are here and the version they are of; 0 where it can't be told."""
    try:
        version = json.loads(_note(part).read_text(encoding="utf-8"))["version"]
        return (part.stat().st_size, version) if isinstance(version, str) and version else (0, "")
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0, ""


def _note_version(part: Path, headers: Any) -> None:
    etag = headers.get("ETag") or ""
    weak = etag.startswith("W/")  # RFC 9110: a weak one is no good for ranges
    version = headers.get("Last-Modified") or "" if weak or not etag else etag
    _note(part).write_text(json.dumps({"version": version}), encoding="utf-8")


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _content_range(text: str) -> tuple[int, int | None]:
    """`bytes 100-199/200` -> (100, 200); (-1, None) for anything else."""
    unit, _, rest = text.partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdigit():
        return -1, None
    return int(start), int(total) if total.isdigit() else None


def _retry_after(error: urllib.error.HTTPError) -> float:
    text = error.headers.get("Retry-After") or ""
    return float(text) if text.isdigit() else 0.0
