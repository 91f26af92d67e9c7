"""Reading one section of params.yaml into its typed class."""

from __future__ import annotations

import reprlib
import warnings
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError

from candid.errors import CandidError

PARAMS = Path("params.yaml")


class Section(BaseModel):
    """Base of every section: no unknown key, no silent conversion, no NaN, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


SectionT = TypeVar("SectionT", bound=Section)


def read_yaml(path: str | Path) -> Any:
    """Read a YAML 1.2 file (there 1e-05 is a number, which DVC writes and PyYAML reads as text).

    Safe loader: tags that name Python objects are refused. CandidError for anything unreadable.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML 1.2 allows it: the last counts
            return YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CandidError(f"{path}: no such file; run from the project's folder") from None
    except IsADirectoryError:
        raise CandidError(f"{path}: a folder; expected a YAML file") from None
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CandidError(f"{path}: not YAML: {error}") from None


def read_section(name: str, kind: type[SectionT], path: str | Path = PARAMS) -> SectionT:
    """Read section `name` (dotted for a part of one: `archs.resnet50`) of params.yaml as `kind`.

    Raises:
        CandidError: one line with the key, the value found and what is allowed.
    """
    value = read_yaml(path)
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            raise CandidError(f"{path}: no section {name!r}")
        value = value[key]
    return check(name, kind, value, path)


def check(name: str, kind: type[SectionT], value: Any, path: str | Path = PARAMS) -> SectionT:
    """Turn plain values into the typed section; CandidError names the first key that is wrong."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join([name, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            known = ", ".join(_fields_beside(kind, first["loc"]))
            raise CandidError(f"{path}: unknown key {key}; expected one of {known}") from None
        if first["type"] == "missing":
            raise CandidError(f"{path}: {key} is missing") from None
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "value_error" and isinstance(first["input"], dict):  # a rule over several keys
            raise CandidError(f"{path}: {key}: {reason}") from None
        raise CandidError(f"{path}: {key} = {_short(first['input'])}: {reason}") from None


def _short(value: Any) -> str:
    """Show a value within a line, however long, nested or referring to itself it is."""
    shown = reprlib.Repr()
    shown.maxlevel, shown.maxstring, shown.maxother = 2, 80, 80
    return shown.repr(value)


def _fields_beside(kind: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """Name the keys there are where an unknown one stands: those of the innermost section around it."""
    for part in place[:-1]:
        inner = kind.model_fields[str(part)].annotation if str(part) in kind.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        kind = inner
    return list(kind.model_fields)
