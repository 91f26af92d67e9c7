"""HTML pages that stand alone: rendered from candid/templates, no script, nothing fetched."""

from __future__ import annotations

import base64
import functools
from typing import Any

import jinja2

from candid import text


def render(template: str, **context: Any) -> str:
    """Return the HTML of a template of candid/templates, filled in; every value is escaped.

    Templates extend base.html, which holds the style and the macros `table`, `figure` and `cards`. A variable
    that is not given is an error. Filters beside Jinja's own: `clean` (a name on one line), `percent`,
    `points`.

    Example:
        >>> "<title>Two &lt; three" in render("base.html", title="Two < three")
        True
    """
    page = _environment().get_template(template).render(**context)
    return page.encode("utf-8", "backslashreplace").decode()  # a setting may hold half a character


def data_uri(picture: bytes, kind: str = "image/png") -> str:
    """Return a picture as what `src` of an <img> takes, so that the page needs no file beside it."""
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("candid"),
        autoescape=lambda name: name is None or name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (text.clean, text.markdown, text.percent, text.points)
    environment.filters |= {function.__name__: function for function in filters}
    return environment
