"""From plain YAML to the typed file, with the line of what is wrong."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from candid.errors import CandidError
from candid.recipes.lines import Lines
from candid.recipes.schema import RecipeFile

UNKNOWN = "extra_forbidden"


def parse(given: Any, lines: Lines) -> RecipeFile:
    """Check the shape of a recipe; CandidError names file, line and key of the first fault."""
    try:
        return RecipeFile.model_validate(given)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A key misspelt is missing too: tell what stands there, not what doesn't.
        first = next((one for one in errors if one["type"] == UNKNOWN), errors[0])
        raise CandidError(f"{lines.at(first['loc'])}: {_told(first)}") from None


def _told(error: Any) -> str:
    place = tuple(part for part in error["loc"] if part != "[key]")
    name = ".".join(map(str, place)) or "the file"
    if error["type"] == UNKNOWN:
        return f"unknown key {name}; expected one of {', '.join(_keys_beside(place))}"
    if error["type"] == "missing" and place[-1] == "source":
        return f"{name} is missing: no number without the table or figure it stands in"
    if error["type"] == "missing":
        return f"{name} is missing"
    reason = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict | list):
        return f"{name}: {reason}"
    return f"{name} = {error['input']!r}: {reason}"


def _keys_beside(place: tuple[int | str, ...]) -> list[str]:
    """Name the keys there are at a place: those of the class that stands there."""
    kind: Any = RecipeFile
    for part in place[:-1]:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _given(kind.model_fields[str(part)].annotation)
        else:
            kind = _given(get_args(kind)[-1])  # of list[entry] or dict[name, entry]
    return list(kind.model_fields)


def _given(kind: Any) -> Any:
    """Take the type out of `type | None`."""
    kinds = get_args(kind)
    return next(one for one in kinds if one is not type(None)) if type(None) in kinds else kind
