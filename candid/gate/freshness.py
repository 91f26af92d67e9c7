"""Does dvc.lock say what the tree holds? Checked without DVC, so that any commit can be asked, and fast.

A stage is current when its command, its settings and every dependency and output that is there are the
ones it last ran with. Data that the tree lacks (DVC keeps it in its cache) is followed through dvc.lock:
what one stage wrote must be what the next one read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pathspec import GitIgnoreSpec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from candid.errors import CandidError
from candid.gate.look_up import MISSING, look_up
from candid.gate.redefined import redefined
from candid.gate.revisions import Tree


def stale(tree: Tree) -> list[str]:
    """What differs between dvc.lock and the tree, one phrase each; empty where all is current.

    Raises:
        CandidError: dvc.yaml, dvc.lock or params.yaml is missing or is not YAML.
    """
    stages, locked = _section(tree, "dvc.yaml"), _section(tree, "dvc.lock")
    params = read_yaml(tree, "params.yaml")
    written = {out["path"]: out.get("md5") for entry in locked.values() for out in entry.get("outs", [])}
    ignored = GitIgnoreSpec.from_lines((tree.read(".dvcignore") or b"").decode().splitlines())
    found: list[str] = []
    for name, stage in stages.items():
        if "foreach" in stage or "matrix" in stage:
            continue
        if name not in locked:
            found.append(f"stage {name} was never run")
            continue
        entry = locked[name]
        reasons = (
            *redefined(stage, entry, params),
            *_settings(tree, entry),
            *_dependencies(tree, entry, written, ignored),
            *_outputs(tree, entry, ignored),
        )
        found += [f"stage {name}: {reason}" for reason in reasons]
    return found


def read_yaml(tree: Tree, path: str) -> Any:
    """Read a YAML 1.2 file of a revision; CandidError where it is missing or unreadable."""
    content = tree.read(path)
    if content is None:
        raise CandidError(f"{tree.name}: no {path}; expected a revision that `dvc repro` was run in")
    try:
        return YAML(typ="safe", pure=True).load(content.decode("utf-8"))
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CandidError(f"{tree.name}: {path}: not YAML: {error}") from None


def _section(tree: Tree, path: str) -> dict[str, Any]:
    whole = read_yaml(tree, path)
    stages = whole.get("stages") if isinstance(whole, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise CandidError(f"{tree.name}: {path}: no stages; expected what DVC reads and writes")
    return stages


def _settings(tree: Tree, entry: dict[str, Any]) -> Iterator[str]:
    for path, used in entry.get("params", {}).items():
        now = read_yaml(tree, path)
        for key, value in used.items():
            if look_up(now, key) != value:
                where, present, then = _difference(key, value, look_up(now, key))
                yield f"{path} has {where} {present}, it last ran with {then}"


def _difference(key: str, old: Any, new: Any) -> tuple[str, str, str]:
    """The first entry that differs, dotted, and both its values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            if old.get(name, MISSING) != new.get(name, MISSING):
                return _difference(f"{key}.{name}", old.get(name, MISSING), new.get(name, MISSING))
    return key, _short(new), _short(old)


def _short(value: Any) -> str:
    text = "nothing" if value is MISSING else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _dependencies(
    tree: Tree, entry: dict[str, Any], written: dict[str, str | None], ignored: GitIgnoreSpec
) -> Iterator[str]:
    for dep in entry.get("deps", []):
        path, used = dep["path"], dep.get("md5")
        if path in written and written[path] != used:
            yield f"{path} was made again after it"
            continue
        now = fingerprint(tree, path, used, ignored)
        if now is None and path not in written and not _outside(path):
            yield f"{path} is gone"
        elif now not in (None, used):
            yield f"{path} has changed"


def _outputs(tree: Tree, entry: dict[str, Any], ignored: GitIgnoreSpec) -> Iterator[str]:
    for out in entry.get("outs", []):
        if fingerprint(tree, out["path"], out.get("md5"), ignored) not in (None, out.get("md5")):
            yield f"{out['path']} is not what it wrote"


def fingerprint(tree: Tree, path: str, like: str | None, ignored: GitIgnoreSpec) -> str | None:
    """DVC's hash of a file or, where `like` is one of a folder, of a folder; None where it is not there."""
    if like is None or _outside(path):
        return None
    if not like.endswith(".dir"):
        return tree.md5(path)
    files = [name for name in tree.files(path) if not ignored.match_file(f"{path}/{name}")]
    if not files:
        return None
    listing = [{"md5": tree.md5(f"{path}/{name}"), "relpath": name} for name in files]
    text = json.dumps(listing, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def _outside(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or path.startswith("..") or "://" in path
