"""Fetch what Kaggle holds, through Kaggle's own client library."""

from __future__ import annotations

import os
from pathlib import Path

from candid.errors import CandidError, cannot_write

SECRETS = ("KAGGLE_API_TOKEN", "KAGGLE_KEY")
LONGEST_REASON = 240


def fetch(handle: str, file: str | None = None) -> Path:
    """Fetch a dataset (owner/name[/versions/N]) or a contest's data (competitions/name).

    kagglehub resumes, checks the MD5 that the server gives, keeps what it fetched in its own cache
    (KAGGLEHUB_CACHE, by default ~/.cache/kagglehub) and unpacks archives: what comes back is a folder, or the
    one `file` asked for.

    Raises:
        CandidError: whatever the client reports, in one line, without any secret.
    """
    import kagglehub  # type: ignore[import-untyped]  # half a second, and only needed here

    try:
        if handle.startswith("competitions/"):
            return Path(kagglehub.competition_download(handle.removeprefix("competitions/"), path=file))
        return Path(kagglehub.dataset_download(handle, path=file))
    except Exception as error:  # the client has a dozen kinds of its own
        if isinstance(error, OSError) and error.filename is not None and cannot_write(error):
            raise
        reason = without_secrets(f"{type(error).__name__}: {error}")
    raise CandidError(f"Kaggle's client can't fetch {handle}: {reason[:LONGEST_REASON]}")


def without_secrets(text: str) -> str:
    """Cut what the environment holds for Kaggle out of a message."""
    for name in SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, f"<{name}>")
    return text
