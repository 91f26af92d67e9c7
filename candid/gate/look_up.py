"""Values under dotted keys."""

from __future__ import annotations

from typing import Any

MISSING = object()


def look_up(values: Any, dotted: str) -> Any:
    """The value under a dotted key of nested mappings; MISSING where there is none."""
    for key in dotted.split("."):
        if not isinstance(values, dict) or key not in values:
            return MISSING
        values = values[key]
    return values
