"""params.yaml: read as YAML 1.2, and each section turned into its typed class."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from candid.errors import CandidError

PARAMS = Path("params.yaml")
MAX_KEYS = 10_000  # of a mapping, with those that merge keys bring


class Section(BaseModel):
    """Base of every section: no unknown key, no silent conversion, no NaN, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


SectionT = TypeVar("SectionT", bound=Section)

CHOICES = (
    *("dedup.method", "train.optimizer", "train.schedule", "train.early_stopping", "train.freeze"),
    "train.augment.crop",
)
"""Settings that are one value though it may be a mapping: null, a name (`train.schedule: cosine`), or what
that choice takes (`{name: cosine, warmup_epochs: 2}`). Beside these `archs.<net>.scaling`."""


def is_choice(key: str) -> bool:
    """Say whether a mapping at this dotted key is one value, which another replaces whole."""
    return key in CHOICES or (key.startswith("archs.") and key.endswith(".scaling"))


def named(value: Any) -> Any:
    """Write a choice in full: `cosine` is {name: cosine}."""
    return {"name": value} if isinstance(value, str) else value


ByName = BeforeValidator(named)  # in the annotation of a union of sections that differ in their `name`


class SettingError(CandidError):
    """A wrong value, with the dotted key that it belongs to."""

    def __init__(self, path: str | Path, key: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.key = key


class ConflictError(ValueError):
    """Raised by a rule over several keys of a section: which of them is to blame, its value, and why."""

    def __init__(self, key: str, value: Any, reason: str) -> None:
        super().__init__(reason)
        self.key, self.value = key, value


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema with 1_000 and merge keys; a second value for a key is refused.

    PyYAML's own schema is that of 1.1: 1e-05, as DVC writes it, is text there, and `off` is false.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a second value for a key."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(None, None, f"{key.value} a second time", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys that multiply each other."""
        super().flatten_mapping(node)
        if len(node.value) > MAX_KEYS:
            raise yaml.MarkedYAMLError(None, None, f"{len(node.value)} merged keys", node.start_mark)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
     [*"-+.0123456789"]),
    ("merge", "<<", ["<"]),
):  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor(  # 012 is twelve in YAML 1.2
    "tag:yaml.org,2002:int", lambda _, node: int(node.value, 0 if node.value[:2] in ("0o", "0x") else 10)
)


def parse_yaml(text: str, where: str | Path) -> Any:
    """Turn YAML 1.2 into plain values; CandidError for no YAML, and for tags that name Python objects."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - derived from SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CandidError(f"{where}: not YAML: {' '.join(str(error).split())}") from None


def read_yaml(path: str | Path) -> Any:
    """Read a YAML 1.2 file. CandidError for anything unreadable."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CandidError(f"{path}: no such file; run from the project's folder") from None
    except IsADirectoryError:
        raise CandidError(f"{path}: a folder; expected a YAML file") from None
    except UnicodeDecodeError as error:
        raise CandidError(f"{path}: not YAML: {error}") from None
    return parse_yaml(text, path)


def read_section(name: str, kind: type[SectionT], path: str | Path = PARAMS) -> SectionT:
    """Read section `name` (dotted for a part of one: `archs.resnet50`) of params.yaml as `kind`.

    All other sections of the file are checked too, so that a wrong value in a late one stops the first stage
    that runs, not the one after hours of training. CandidError: the key, the value and what is allowed.
    """
    from candid.sections import check_params  # knows the classes of all areas

    params = value = read_yaml(path)
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            raise CandidError(f"{path}: no section {name!r}")
        value = value[key]
    section = check(name, kind, value, path)
    check_params(params, path)
    return section


def check(name: str, kind: type[SectionT], value: Any, path: str | Path = PARAMS) -> SectionT:
    """Turn plain values into the typed section; SettingError names the first key that is wrong."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise _setting_error(name, kind, error.errors(include_url=False), path) from None


def _setting_error(name: str, kind: type[Section], errors: Any, path: str | Path) -> SettingError:
    """One line about the first fault; about a misspelt key rather than the one that is missing for it."""
    extra = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    first = next((error for error in errors if error["loc"] in extra[:1]), errors[0])
    parts, holder, choice = _locate(kind, first["loc"])
    key, value, reason = ".".join([name, *parts]), first["input"], first["msg"].removeprefix("Value error, ")
    conflict = first.get("ctx", {}).get("error")
    if first["type"] == "extra_forbidden" and choice is None:
        known = ", ".join(holder.model_fields) if holder else "none"
        text = f"unknown key {key}; expected one of {known}"
    elif first["type"] == "extra_forbidden":
        beside = [str(loc[-1]) for loc in extra if loc[:-1] == first["loc"][:-1]]
        have = "has" if len(beside) == 1 else "have"
        text = f"{key.rpartition('.')[0]}: {', '.join(beside)} {have} no effect with {choice}; expected only"
        text += f" {', '.join(holder.model_fields)}"
    elif first["type"] == "missing":
        text = f"{key} is missing"
    elif isinstance(conflict, ConflictError):
        key = f"{key}.{conflict.key}"
        text = f"{key} = {_short(conflict.value)}: {reason}"
    elif first["type"].startswith("union_tag") or first["type"] == "model_attributes_type":
        if isinstance(value, dict) and "name" in value:
            key, value = f"{key}.name", value["name"]
        text = f"{key} = {_short(value)}: expected one of {', '.join(_names(holder))}"
    elif first["type"] == "value_error" and isinstance(value, dict):  # a rule over several keys
        text = f"{key}: {reason}"
    else:
        text = f"{key} = {_short(value)}: {reason}"
    return SettingError(path, key, text)


def _locate(kind: Any, loc: tuple[int | str, ...]) -> tuple[list[str], Any, str | None]:
    """Follow pydantic's path to a fault: the keys, the class (or union) around it, the choice it is in."""
    keys: list[str] = []
    choice: str | None = None
    for number, part in enumerate(loc):
        if isinstance(part, int) and get_args(kind):  # of a list
            kind = get_args(kind)[0]
            keys.append(str(part))
            continue
        member = next((each for each in _members(kind) if part in _names(each)), None)
        if member is not None and get_origin(kind) is not None:  # the name of a choice, no key of the file
            kind, choice = member, str(part)
            continue
        keys.append(str(part))
        holder = next((each for each in _members(kind) if part in each.model_fields), None)
        if holder is None:
            return [*keys, *map(str, loc[number + 1 :])], next(iter(_members(kind)), None), choice
        kind, choice = holder.model_fields[str(part)].annotation, choice if number == len(loc) - 1 else None
    return keys, kind, choice


def _members(kind: Any) -> list[type[Section]]:
    """The sections of a class or of a union of classes."""
    return [each for each in get_args(kind) or [kind] if isinstance(each, type) and issubclass(each, Section)]


def _names(kind: Any) -> list[str]:
    """The names by which a section, or one of a union, is chosen."""
    fields = [each.model_fields["name"] for each in _members(kind) if "name" in each.model_fields]
    return [name for field in fields for name in get_args(field.annotation)]


def _short(value: Any) -> str:
    """Show a value within a line, however long, nested or referring to itself it is."""
    shown = reprlib.Repr()
    shown.maxlevel, shown.maxstring, shown.maxother = 2, 80, 80
    return shown.repr(value)
