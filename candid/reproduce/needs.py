"""Can what a run needs be had here? Datasets and ImageNet weights, looked for before anything is queued."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from candid.compare.settings import flat
from candid.data.catalogue import OWN, Archive, Dataset, members
from candid.data.download import MIRROR
from candid.recipes.nets import nets
from candid.recipes.recipe import Overrides

KAGGLE = "https://www.kaggle.com"
PATIENCE_SECONDS = 5


@dataclass
class Needs:
    """What there is, asked once and remembered."""

    catalogue: Mapping[str, Dataset]
    params: Mapping[str, Any]
    mirror: Path | None
    online: Callable[[str], bool]
    """Whether a server answers, by its address."""
    cache: Path = Path(".dvc/cache")
    hub: Path = field(default_factory=lambda: hub_folder())
    """Cache of Kaggle's client."""
    _known: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def data(self, overrides: Overrides, data_from: str | None = None) -> str | None:
        """What is missing of a run's dataset: one line on what to get and where; None where all is here.

        Args:
            overrides: of the run.
            data_from: what the paper used, where it is in no catalogue.
        """
        settings = {**flat(self.params), **overrides}
        name, path = str(settings["data.dataset"]), str(settings["data.path"])
        if name == OWN:
            told = self._own(path)
            return f"{told}. The paper's: {data_from}" if told and data_from else told
        key = ("data", name)
        if key not in self._known:
            self._known[key] = self._dataset(name)
        return self._known[key]

    def _own(self, path: str) -> str | None:
        given = Path(path)
        if given.is_absolute() and given.exists():
            return None
        told = f"{path}: no such file or folder" if given.is_absolute() else "none are named"
        return f"pictures of yours, one folder a class ({told}): --set data.path=/absolute/folder_or_zip"

    def _dataset(self, name: str) -> str | None:
        for part, entry in members(name, dict(self.catalogue)).items():
            lacking = [one for one in entry.archives if not self._has(one)]
            if lacking and not self._kept(name):
                return f"{part}, {entry.title}: {self._get(lacking)}"
        return None

    def _has(self, archive: Archive) -> bool:
        names = (archive.name, *archive.also)
        if archive.name == "sample.zip" or (
            self.mirror and any((self.mirror / name).is_file() for name in names)
        ):
            return True
        if archive.kaggle:
            handle = archive.kaggle
            kind = "" if handle.startswith("competitions/") else "datasets/"
            return (self.hub / f"{kind}{handle}").is_dir() or self.online(KAGGLE)
        return archive.url is not None and self.online(origin(archive.url))

    def _kept(self, name: str) -> bool:
        """Whether DVC can restore the download from an earlier run."""
        for file in (self.cache / "runs").glob("*/*/*"):
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if "-m stages.download\n" in text and re.search(
                rf"^ +data\.dataset: {re.escape(name)}$", text, re.M
            ):
                found = re.search(r"^- path: data/raw\n(?:  .*\n)*?  md5: (\w\w)(\S+)$", text, re.M)
                if found and (self.cache / "files/md5" / found[1] / found[2]).is_file():
                    return True
        return False

    def _get(self, archives: list[Archive]) -> str:
        """What a person has to do to get them."""
        steps = []
        for archive in archives:
            page = f"{'' if str(archive.kaggle).startswith('competitions/') else 'datasets/'}{archive.kaggle}"
            where = f"{KAGGLE}/{page.split('/versions/')[0]}" if archive.kaggle else str(archive.url)
            steps.append(archive.get or f"fetch {where}, which can't be reached from here")
        names = " and ".join(archive.name for archive in archives)
        if self.mirror:
            return f"{'; '.join(steps)}; put {names} into {self.mirror}, the folder that {MIRROR} names"
        return f"{'; '.join(steps)}; put {names} into a folder and set {MIRROR} to its absolute path"

    def weights(self, overrides: Overrides) -> str | None:
        """What is missing of a run's ImageNet weights; None where they are kept here or a hub answers."""
        net = nets().get({**flat(self.params), **overrides}["model.arch"])
        if net is None or net.preset is None:
            return None  # such settings are refused
        preset = net.preset
        key = ("imagenet", preset)
        if key not in self._known:
            here = any((self.hub / "models").glob(f"*/*/*/{preset}")) or self.online(KAGGLE)
            told = (
                f"ImageNet weights: {KAGGLE} can't be reached from here (offline: "
                f"--set model.weights=/absolute/folder with {preset} as keras-hub's save_to_preset wrote it)"
            )
            self._known[key] = None if here else told
        return self._known[key]


def hub_folder() -> Path:
    """Where Kaggle's client keeps what it fetched."""
    given = os.environ.get("KAGGLEHUB_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "kagglehub"


def origin(url: str) -> str:
    """Scheme and host of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def answers(address: str) -> bool:
    """Whether a server answers at all, be it with an error; proxies of the environment are used."""
    try:
        request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "candid"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code not in (407, 502, 503, 504)  # a proxy's answer, not the server's
    except (OSError, ValueError):
        return False
