"""What the names of folders mean: which is a class, which a part of a split, and where that is ambiguous."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple

from candid.errors import CandidError
from candid.text import clean

SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    **dict.fromkeys(("fearful", "afraid", "scared"), "fear"),
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "contemptuous": "contempt",
}
"""Words that sets use for LABELS."""

PART_WORDS = {
    **dict.fromkeys(("train", "training", "trainset", "publictrain"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev", "publictest"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "privatetest", "eval", "evaluation"), "test"),
}
"""Words that name a part of a split, in folders and in file names."""

EVALUATION = ("eval", "evaluation")  # test in train/dev/eval; validation beside a test set
BESIDE_PART_WORDS = frozenset(
    ("set", "data", "dataset", "split", "part", "images", "image", "imgs", "img", "pictures", "faces", "seg")
)
"""Words that may stand beside one of PART_WORDS: images_train, seg_test."""

MAX_SHOWN = 4  # folders that a message names


def label_name(folder: str) -> str:
    """Return a class name as it is written: composed letters (NFC), no space around it, on one line."""
    return clean(unicodedata.normalize("NFC", folder)).strip()


@lru_cache(maxsize=1024)
def label_key(name: str) -> str:
    """Return what two spellings of one class share: lower case, and the word of LABELS for its synonyms.

    Example:
        >>> label_key("Anger"), label_key("ANGRY"), label_key("Smirk")
        ('angry', 'angry', 'smirk')
    """
    key = label_name(name).casefold()
    return SYNONYMS.get(key, key)


@lru_cache(maxsize=1024)
def part_of(name: str) -> str:
    """Return the part of a split that a name stands for: train, validation, test, or "" where it is none.

    Example:
        >>> part_of("Training"), part_of("PublicTest"), part_of("images_train"), part_of("happy")
        ('train', 'validation', 'train', '')
    """
    return PART_WORDS.get(_part_word(name), "")


def parts_of(folders: Iterable[str]) -> dict[str, str]:
    """Return the part of each folder, as part_of; eval means validation where there is a test set."""
    parts = {folder: part_of(folder) for folder in folders}
    evaluation = {folder for folder in parts if _part_word(folder) in EVALUATION}
    if any(part == "test" for folder, part in parts.items() if folder not in evaluation):
        parts |= dict.fromkeys(evaluation, "validation")
    return parts


def _part_word(name: str) -> str:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", name))
    words = re.findall(r"[^\W\d_]+", apart.casefold())
    if "".join(words) in PART_WORDS:
        return "".join(words)
    words = [word for word in words if word not in BESIDE_PART_WORDS]
    return words[0] if len(words) == 1 else ""


class Place(NamedTuple):
    """What the folders around a picture say."""

    label: str = ""  # name of the folder that is its class; "" where there is none
    part: str = ""
    in_part: bool = False  # whether the class's folder lies in that of the part
    above: str = ""  # folders between the set's and the class's, each with a slash; no parts
    below: str = ""  # folders between the class's and the picture, the same


NOWHERE = Place()


def read_layout(
    folders: Collection[str],
    is_known: Callable[[str], bool],
    classes: Collection[str] = (),
    empty: Collection[str] = (),
) -> dict[str, Place]:
    """Find the class and the part in `[enclosing/][part/]<class>/[part/][further/]`.

    `folders`, those that pictures lie in, have forward slashes; "" is the set's own. `is_known` says
    whether a folder's name is a label of the set. With `classes`, keys (label_key) of those that are set,
    the outermost folder of such a name is the class, however deep; else the first that is no part, below
    what encloses all. `empty`: folders without a picture, to find the place of, too.
    """
    paths = {folder: folder.split("/") if folder else [] for folder in (*folders, *empty)}
    parts = parts_of({name for path in paths.values() for name in path})
    depth = _enclosing(list(folders), lambda name: is_known(name) or bool(parts[name]))
    places = {}
    for folder, path in paths.items():
        within = path[depth:]
        named = [i for i, name in enumerate(within) if label_key(name) in classes]
        first = next((i for i, name in enumerate(within) if not parts[name]), len(within))
        at = named[0] if named else first
        outer = [parts[name] for name in within[:at] if parts[name]]
        above = [name for name in within[:at] if not parts[name]]
        below = within[at + 1 :]
        inner = parts[below[0]] if below else ""
        places[folder] = Place(
            within[at] if at < len(within) else "",
            inner or (outer[-1] if outer else ""),
            bool(outer),
            *("".join(f"{name}/" for name in names) for names in (above, below[1:] if inner else below)),
        )
    return places


def check_layout(places: dict[str, Place], is_known: Callable[[str], bool], where: str) -> None:
    """Raise CandidError where folders that may be parts, persons or copies would become classes.

    That is: names that differ only in case; folders beside parts that hold classes; the same folders below
    several classes, which may be the classes themselves (person/class).
    """
    resolve = "expected one folder a class: name the classes in data.classes"
    spelled: dict[str, set[str]] = defaultdict(set)
    for place in places.values():
        spelled[label_key(place.label)].add(label_name(place.label))
    for key, names in spelled.items():
        if len(names) > 1 and not is_known(key):
            raise CandidError(f"{where}: folders {_shown(names)} differ only in case; {resolve}")
    labelled = [place for place in places.values() if place.label]
    labels = {place.label for place in labelled}
    in_parts = {place.label for place in labelled if place.in_part}
    beside = {place.label for place in labelled if not (place.in_part or place.above)}
    strange = {name for name in beside if not is_known(name)}
    if in_parts and strange:
        sides = f"{_shown(strange)} lies beside folders of parts (train, test, ...) that hold"
        raise CandidError(f"{where}: {sides} {_shown(in_parts)}; {resolve}, or take it out")
    holders: dict[str, set[str]] = defaultdict(set)
    for place in labelled:
        if place.below:
            holders[place.below.split("/")[0]].add(place.label)
    repeated = {name for name, above in holders.items() if len(above) > 1}
    if repeated and (any(map(is_known, repeated)) or not any(map(is_known, labels))):
        above = {label for name in repeated for label in holders[name]}
        levels = f"folders {_shown(above)} hold folders of the same names, {_shown(repeated)}"
        resolve += " (persons: data.subject_pattern)"
        raise CandidError(f"{where}: {levels}: either may be the classes; {resolve}")


def _shown(names: Collection[str]) -> str:
    shown = [repr(label_name(name)) for name in sorted(names)[:MAX_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else "")


def _enclosing(folders: list[str], is_known: Callable[[str], bool]) -> int:
    """Count the outer folders that all share and that are neither a part nor a class.

    A picture that lies in an outer folder itself (a cover, say) would make that one the class of all: where
    only one class would come of it, folders that lie above others don't count.
    """
    depth = _shared(folders, is_known)
    paths = [folder.split("/") for folder in folders if folder]
    above = {"/".join(path[:end]) for path in paths for end in range(len(path))} & set(folders)
    if not above or len({(*folder.split("/"), "")[depth] for folder in folders} - {""}) > 1:
        return depth
    return _shared([folder for folder in folders if folder not in above], is_known)


def _shared(folders: list[str], is_known: Callable[[str], bool]) -> int:
    # zip ends with the shortest; a picture's innermost folder is its class, if no other is
    levels = zip(*(folder.split("/")[:-1] for folder in folders), strict=False)
    return len([*takewhile(lambda level: len(set(level)) == 1 and not is_known(level[0]), levels)])
