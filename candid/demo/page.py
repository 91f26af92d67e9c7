"""The page: one HTML file with its style and script inside, and the policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import NamedTuple


class Page(NamedTuple):
    """What is sent for `/`."""

    html: bytes
    policy: str
    """Content-Security-Policy: this very script, this machine, and nothing else."""


def read_page(limit: int) -> Page:
    """Read page.html; `limit` is the size in bytes from which on the page refuses a picture itself."""
    html = Path(__file__).with_name("page.html").read_text(encoding="utf-8").replace("__LIMIT__", str(limit))
    script = re.search("<script>(.*)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)
