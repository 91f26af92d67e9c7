"""A web server on this machine that answers as the worst of them do."""

from __future__ import annotations

import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Site:
    """What the server holds and how it behaves; `seen` are the Range headers of the requests so far."""

    body: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True
    lengths: bool = True
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the connection breaks, answer by answer; then it holds."""
    errors: list[int] = field(default_factory=list)
    """Statuses with which the first requests are answered."""
    retry_after: str | None = None
    wrong_start: bool = False
    redirect: str | None = None
    url: str = ""
    seen: list[str | None] = field(default_factory=list)


@contextmanager
def serving(site: Site, certificate: Path | None = None) -> Iterator[Site]:
    """Serve `site` on a free port of the loopback address, over HTTPS where a certificate is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *_args: object) -> None:
            pass

        def do_GET(self) -> None:
            site.seen.append(self.headers.get("Range"))
            if site.errors:
                self.send_response(site.errors.pop(0))
                if site.retry_after:
                    self.send_header("Retry-After", site.retry_after)
                self.end_headers()
                return
            if site.redirect:
                self.send_response(302)
                self.send_header("Location", site.redirect)
                self.end_headers()
                return
            start = self._start()
            if start and start >= len(site.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.body)}")
                self.end_headers()
                return
            if start:
                told = start + 1 if site.wrong_start else start
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {told}-{len(site.body) - 1}/{len(site.body)}")
            else:
                self.send_response(200)
            body = site.body[start:]
            for name, value in (("ETag", site.etag), ("Last-Modified", site.modified)):
                if value:
                    self.send_header(name, value)
            if site.lengths:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: site.cuts.pop(0)] if site.cuts else body)

        def _start(self) -> int:
            asked = self.headers.get("Range")
            same = self.headers.get("If-Range") in (site.etag, site.modified)
            return int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges and same else 0

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}/faces.zip"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def http_opener() -> urllib.request.OpenerDirector:
    """An opener that may speak plain http, for the loopback server only, and asks no proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
