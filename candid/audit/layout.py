"""What the folders of an image set say: which label an image has, and which part it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from candid.data.labels import label_key, part_of


@dataclass(frozen=True)
class Layout:
    """Label and part of each image, "" where the folders say nothing."""

    labels: list[str]
    parts: list[str]


def read_layout(files: Sequence[str], use_labels: bool = True) -> Layout:
    """Read labels and parts from paths.

    Args:
        files: paths inside the set, with forward slashes.
        use_labels: False leaves all labels empty, for folders that are not classes.

    Folders that all images share are passed over. The next folder is the part if all images lie in
    folders named like parts (train, test, ...); the one below it is the label, in lower case, if
    there are at least two. `train/happy/a.jpg`, `data/img/happy/a.jpg`, `a.jpg` are all understood.
    """
    folders = [list(PurePosixPath(file).parent.parts) for file in files]
    folders = _without_shared(folders)
    parts = [part_of(path[0]) if path else "" for path in folders]
    if parts and all(parts):
        folders = _without_shared([path[1:] for path in folders])
    elif len({part for part in parts if part}) > 1 and sum(map(bool, parts)) > len(parts) // 2:
        folders = [path[1:] if part else path for path, part in zip(folders, parts, strict=True)]
    else:
        parts = [""] * len(files)
    labels = [label_key(path[0]) if path and use_labels else "" for path in folders]
    if len(set(labels)) < 2:
        labels = [""] * len(files)
    return Layout(labels, parts)


def _without_shared(folders: list[list[str]]) -> list[list[str]]:
    while folders and all(folders) and len({path[0] for path in folders}) == 1:
        if part_of(folders[0][0]):
            break
        folders = [path[1:] for path in folders]
    return folders
