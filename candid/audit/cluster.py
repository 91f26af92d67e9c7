"""The audit beyond one machine, on Ray Data: the same functions on batches, and the same pairs.

Workers decode batches of files; the small images stay in Ray's memory. The sketches of all crops go to the
cells of their nearest pivots, as narrow rows; what is alike in a cell goes to one image's block and then to
the other's, where thumbnails are compared, and after them images. Tables, pairs and groups are the driver's.

Rows meet by sorting, not by Ray's groupby and join: the actors of its hash shuffle keep rows in memory, and
the job fails with the first of them; a sort is made of tasks, and Ray repeats those of a worker that dies.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.audit import images as read
from candid.audit.images import MEASURED, Decoded, ImageSet
from candid.audit.sources import Source, labels_and_parts
from candid.data.archives import Files, UnreadableError, one_line
from candid.data.images import PixelBudget
from candid.duplicates import candidates as search
from candid.duplicates.alignment import prepare, similarities
from candid.duplicates.candidates import MANY, MAX_SKETCH_BITS, Candidates, correlations
from candid.duplicates.find import Duplicates, comparable, judge, pixel_digests
from candid.duplicates.groups import collapse
from candid.duplicates.kernels import kernel, popcount
from candid.duplicates.settings import Aligned, Hash
from candid.duplicates.views import (
    CENTRE_VIEW,
    SIZE,
    THUMB,
    low_contrast,
    search_views,
    thumbnails,
    without_borders,
)
from candid.errors import CandidError

FILES = 1024  # a batch to read, at most: what is lost with a worker
PAIRS = 1024  # whose images are in a worker's memory at a time
MOST_ROWS = 20_000_000  # of a cell, 0.6 GB; those beyond are left out, and reported
SAMPLE = 2_000_000  # sketches that place the pivots, at most
FAILED = Decoded(np.zeros((SIZE, SIZE), np.uint8), bytes(16), False, False, 0, 0, 0, 0, 0.0, 0.0)

Batch = dict[str, NDArray[Any]]
WHOLE: dict[str, Any] = {"batch_size": None, "batch_format": "numpy"}  # blocks; after a sort, all of a key


class _Stored(Files):
    """Files by what fsspec opens: name -> (address, bytes)."""

    def __init__(self, path: str, addresses: dict[str, tuple[str, int]]) -> None:
        super().__init__(Path(path))
        self._addresses = addresses
        self._sort(addresses, [])

    def size(self, name: str) -> int:
        return self._addresses[name][1]

    def address(self, name: str) -> str:
        return self._addresses[name][0]

    def _open(self, name: str) -> IO[bytes]:
        from fsspec.core import url_to_fs

        try:
            system, path = url_to_fs(self.address(name))
            return system.open(path, "rb")  # type: ignore[no-any-return]
        except (PermissionError, FileNotFoundError) as error:
            raise UnreadableError(error.strerror or type(error).__name__) from None


@contextmanager
def open_address(url: str, use_labels: bool) -> Iterator[Source]:
    """Open a folder of pictures at an address of fsspec, such as s3://bucket/folder."""
    try:
        from fsspec.core import url_to_fs

        if "::" in url:  # each picture would open the archive anew
            raise ValueError("an archive")
        system, root = url_to_fs(url)
        found = system.find(root, detail=True)
    except (ImportError, OSError, ValueError) as error:
        raise CandidError(f"{url}: {error}; expected the address of a folder that fsspec reads") from None
    addresses = {
        one_line(path.removeprefix(root).lstrip("/")): (system.unstrip_protocol(path), info["size"])
        for path, info in found.items()
    }
    yield Source(_Stored(url, addresses), lambda names: labels_and_parts(names, use_labels), False)


@contextmanager
def connected() -> Iterator[None]:
    """Use the cluster that RAY_ADDRESS names, else one on this machine; CandidError without Ray."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of the set goes to Ray's makers
    for name in ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "RAY_enable_metrics_collection"):
        os.environ.setdefault(name, "0")  # else it prints warnings
    try:
        import ray.data
    except ImportError:
        raise CandidError("--engine ray needs Ray: pip install 'candid-fer[ray]'") from None
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.shuffle_strategy, context.enable_progress_bars = "sort_shuffle_pull_based", False
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


class Greys(NamedTuple):
    """Small images in the cluster's memory; rows that are asked for come to who asks."""

    blocks: list[Any]  # references to tables with the columns key and grey
    place: Any  # reference to the number of each key's block
    keys: NDArray[np.int64]  # of the rows of the set

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:  # type: ignore[override]
        greys = self.fetch(np.atleast_1d(self.keys[rows]))
        return greys if np.ndim(rows) else np.asarray(greys[0])

    def fetch(self, keys: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images by keys: N x SIZE x SIZE."""
        import ray
        from ray.data.block import BlockAccessor

        place, out = ray.get(self.place)[keys], np.empty((len(keys), SIZE, SIZE), np.uint8)
        for number in np.unique(place):
            block = BlockAccessor.for_block(ray.get(self.blocks[number])).to_numpy(["key", "grey"])
            rows, order = np.flatnonzero(place == number), np.argsort(block["key"])
            out[rows] = block["grey"][order[np.searchsorted(block["key"], keys[rows], sorter=order)]]
        return out


def read_and_search(
    source: Source, method: Aligned | Hash, mirror: bool, many: int = MANY
) -> tuple[ImageSet, Duplicates]:
    """Read a set and find its copies on the connected cluster, as read_images and find_duplicates do here.

    Args:
        many: number of images from which on the search has several cells.

    Raises:
        CandidError: no image; pictures that are no files which workers could open.
    """
    import ray

    names, skipped = read.names_to_try(source)
    files = _files(source, names, skipped)
    count = len(files["key"])
    rows = _dataset(files, FILES).map_batches(partial(read_batch, count=count), **WHOLE).materialize()
    blocks = rows.to_arrow_refs()
    keys = ray.get([ray.remote(lambda block: block["key"].to_numpy()).remote(block) for block in blocks])
    place = np.zeros(2 * count, np.int32)
    for number, each in enumerate(keys):
        place[each] = number
    table = _table(rows, ["key", *MEASURED, "reason", "digest", "content", "reduced", "flat", "sketch"])
    for key, reason in zip(table["key"], table["reason"], strict=True):
        if reason and read.is_fault(source, name := files["file"][key], reason):
            skipped[name] = reason
    table = {name: values[table["reason"] == ""] for name, values in table.items()}
    images = {name: values[table["key"] < count] for name, values in table.items()}
    measured = {name: images[name] for name in MEASURED} | {"bytes": files["bytes"][images["key"]]}
    greys, names = Greys(blocks, ray.put(place), images["key"]), files["file"][images["key"]].tolist()
    found = read.image_set(source, names, measured, greys, _digests(files, images), skipped)
    exact, content = collapse(found.digests), images["content"].view(np.dtype((np.void, 16)))[:, 0]
    chosen = exact.first[~images["flat"][exact.first]]
    chosen = chosen[np.argsort(content[chosen], kind="stable")]
    bordered = np.flatnonzero(np.isin(images["key"][chosen] + count, table["key"]))
    owner = np.concatenate([np.arange(len(chosen)), bordered])
    shown = np.concatenate([images["key"][chosen], images["key"][chosen[bordered]] + count])
    sketches = np.ascontiguousarray(table["sketch"][np.searchsorted(table["key"], shown)].T)
    tables, left = [], 0
    for mirrored in (False, True)[: 1 + mirror]:
        candidates, cut = _candidates(rows, greys, shown, sketches, mirrored, many)
        compared = comparable(candidates.pairs, owner, bordered)
        pairs, motions = candidates.pairs[compared], candidates.motions[compared]
        similarity = _verified(greys, shown[pairs], motions, mirrored)
        ends = {"a": owner[pairs[:, 0]], "b": owner[pairs[:, 1]]}
        kind = "mirror" if mirrored else "near"
        tables.append(pd.DataFrame({**ends, "similarity": similarity, "kind": kind}))
        left += cut
    duplicates = judge(pd.concat(tables, ignore_index=True), chosen, method, exact, images["flat"])
    if left:
        full = f"cells of the search with more than {MOST_ROWS:,} entries: {left:,} of these were left out"
        duplicates = duplicates._replace(warning="; ".join(filter(None, [duplicates.warning, full])))
    return found, duplicates


def _files(source: Source, names: list[str], skipped: dict[str, str]) -> Batch:
    """Where workers find the files; what can't be found goes to `skipped`."""
    found: list[tuple[str, str, int]] = []
    for name in names:
        if (address := source.files.address(name)) is None:
            expected = "expected a folder, a table of paths, or an address as s3://bucket/folder"
            raise CandidError(f"{source.files.path}: --engine ray reads files only; {expected}")
        try:
            address.encode()
            found.append((name, address, source.files.size(name)))
        except (UnreadableError, UnicodeEncodeError) as error:  # tables of Arrow hold UTF-8
            skipped[name] = str(error)
    if not found:
        read.image_set(source, [], {}, None, [], skipped)  # says what is wrong
    columns = zip(("file", "address", "bytes"), map(list, zip(*found, strict=True)), strict=True)
    return {"key": np.arange(len(found)), **{name: np.array(values, object) for name, values in columns}}


def _dataset(columns: Batch, most: int) -> Any:
    """Rows in blocks, some for each core, of `most` at most."""
    import pyarrow as arrow
    import ray

    table = arrow.table(columns)
    size = min(most, len(table) // (4 * max(int(ray.cluster_resources().get("CPU", 1)), 1)) + 1)
    return ray.data.from_arrow([table.slice(start, size) for start in range(0, len(table), size)])


def _table(rows: Any, columns: list[str]) -> Batch:
    """Bring columns to the driver, sorted by the first."""
    import ray

    chosen = rows.map_batches(lambda batch: {name: batch[name] for name in columns}, **WHOLE)
    parts = [part for part in ray.get(chosen.to_numpy_refs()) if part]
    table = {name: np.concatenate([part[name] for part in parts] or [np.empty(0, int)]) for name in columns}
    order = np.argsort(table[columns[0]], kind="stable")
    return {name: values[order] for name, values in table.items()}


def read_batch(files: Batch, count: int) -> Batch:
    """Decode files: a row of each, and one of what even borders enclose, with `count` added to its key."""
    budget = PixelBudget(int(files["bytes"].sum()))
    results = _made(files, partial(read._decode, budget=budget))
    decoded = [result if isinstance(result, Decoded) else FAILED for result in results]
    reasons = ["" if isinstance(result, Decoded) else str(result) for result in results]
    grey = np.stack([each.grey for each in decoded])
    bordered, insides = without_borders(grey)
    rows, shown = np.concatenate([np.arange(len(grey)), bordered]), np.concatenate([grey, insides])
    measured = {name: np.array([getattr(each, name) for each in decoded]) for name in (*MEASURED, "reduced")}
    digests = np.stack([np.frombuffer(each.digest, np.uint8) for each in decoded])
    columns = {**measured, "reason": np.array(reasons, object), "digest": digests, "flat": low_contrast(grey)}
    return {name: values[rows] for name, values in columns.items()} | {
        "key": np.concatenate([files["key"], files["key"][bordered] + count]),
        "grey": shown,
        "content": pixel_digests(shown).view(np.uint8).reshape(-1, 16),
        "sketch": np.ascontiguousarray(thumbnails(shown, CENTRE_VIEW).sketches.T),
    }


def _made(files: Batch, make: Callable[[bytes], Any]) -> list[Any]:
    places = zip(files["address"], files["bytes"], strict=True)
    stored = _Stored("", dict(zip(files["file"], places, strict=True)))
    return [result for _, result in read.in_threads(stored, list(files["file"]), make)]


def _digests(files: Batch, images: Batch) -> list[bytes]:
    """Digests that exact copies share, as read_images has them.

    What may be a copy is read again: equal once reduced, or of a size of which some were decoded reduced and
    others not (all of that size, since to compare them would bring them together).
    """
    digests = pd.Series([row.tobytes() for row in images["digest"]], dtype=object)
    sides = np.sort(np.stack([images["width"], images["height"]]), axis=0)
    mixed = pd.Series(images["reduced"]).groupby([*sides]).transform("nunique") > 1
    again = np.flatnonzero(digests.duplicated(keep=False) | mixed)
    if len(again):
        chosen = {name: values[images["key"][again]] for name, values in files.items()} | {"key": again}
        full = _table(_dataset(chosen, FILES).map_batches(digest_batch, **WHOLE), ["key", "digest"])
        digests[full["key"]] = [row.tobytes() for row in full["digest"]]
    return digests.tolist()


def digest_batch(files: Batch) -> Batch:
    """Digests of all that files show; without what can no longer be read."""
    results = _made(files, read._full_digest)
    done = np.array([isinstance(result, bytes) for result in results])
    digests = [np.frombuffer(result, np.uint8) for result in results if isinstance(result, bytes)]
    return {"key": files["key"][done], "digest": np.array(digests, np.uint8).reshape(-1, 16)}


def _candidates(
    rows: Any, greys: Greys, shown: NDArray[np.int64], sketches: NDArray[np.uint64], mirror: bool, many: int
) -> tuple[Candidates, int]:
    """What candidate_pairs finds among the keys `shown`; how many entries of full cells were left out."""
    import ray

    sample = np.linspace(0, len(shown) - 1, min(len(shown), SAMPLE)).astype(np.int64)
    pivots = search.find_pivots(np.ascontiguousarray(sketches[:, sample]), len(shown), many)
    ids = np.full(len(ray.get(greys.place)), -1)
    ids[shown] = np.arange(len(shown))
    wanted = ray.put(ids >= 0)
    crops = rows.map_batches(lambda batch: crop_rows(batch, ray.get(wanted), pivots, mirror), **WHOLE)
    hits = crops.sort("cell").map_batches(partial(scan_cells, most=MOST_ROWS), **WHOLE).materialize()
    left = _table(hits.map_batches(lambda batch: _where(batch, batch["left"] > 0), **WHOLE), ["left"])["left"]
    hits = hits.map_batches(lambda batch: _where(batch, batch["left"] == 0), **WHOLE)
    hits = _beside(hits, greys, "a", partial(send_thumbnails, mirror=mirror))
    table = _table(_beside(hits, greys, "b", correlate), ["a", "b", "view", "score"])
    order = np.lexsort((-table["score"], table["view"], table["a"]))
    a, b, view, score = (values[order].astype(np.int64) for values in table.values())
    crop = len(search_views(mirror)) * a + view
    last = np.minimum(np.searchsorted(crop, crop) + search.CLOSEST, np.searchsorted(crop, crop, "right")) - 1
    kept = score >= score[last]  # as many of a crop as are kept on one machine
    found = np.stack([ids[a], ids[b], score], axis=1)[kept]
    closest = search.closest(search.by_pair(found, view[kept], len(shown)), len(shown))
    return search.to_verify(closest, len(shown), mirror), int(left.sum())


def _where(batch: Batch, rows: NDArray[Any]) -> Batch:
    return {name: values[rows] for name, values in batch.items()}


def crop_rows(
    batch: Batch, wanted: NDArray[np.bool_], pivots: NDArray[np.uint64], mirror: bool
) -> Iterator[Batch]:
    """Cell, key, view and sketch of the wanted images' centres (view -1), and of all crops of them."""
    rows = wanted[batch["key"]]
    keys, grey = batch["key"][rows], batch["grey"][rows]
    crops = np.ascontiguousarray(grey[:, :, ::-1] if mirror else grey)
    views = [(-1, batch["sketch"][rows].T)]
    views += [(number, thumbnails(crops, view).sketches) for number, view in enumerate(search_views(mirror))]
    for number, sketches in views:
        sketches, probes = np.ascontiguousarray(sketches), search.PROBES if number >= 0 else 1
        cells = search._nearest(sketches, pivots, 0, len(keys), min(probes, pivots.shape[1]))
        each = np.repeat(np.arange(len(keys)), cells.shape[1])
        where = {"cell": cells.ravel(), "key": keys[each], "view": np.full(len(each), number, np.int8)}
        yield {**where, "sketch": sketches.T[each]}


def scan_cells(batch: Batch, most: int) -> Iterator[Batch]:
    """Keys (a's crop, b's centre) of alike sketches in a cell; a row says what was left out of a full one."""
    order = np.lexsort((batch["key"], batch["cell"]))
    for rows in np.split(order, np.flatnonzero(np.diff(batch["cell"][order])) + 1):
        cell = _where(batch, rows[:most])
        crops, centres = (_where(cell, rows) for rows in (cell["view"] >= 0, cell["view"] < 0))
        i, j = _alike(crops["sketch"], crops["key"], centres["sketch"], centres["key"]).T
        yield {
            "a": crops["key"][i],
            "b": centres["key"][j],
            "view": crops["view"][i],
            "left": np.zeros_like(i),
        }
        if len(rows) > most:
            one = {"a": cell["key"][:1], "b": cell["key"][:1], "view": cell["view"][:1]}
            yield {**one, "left": np.array([len(rows) - most])}


def _beside(rows: Any, greys: Greys, end: str, work: Callable[[Batch, NDArray[np.uint8]], Batch]) -> Any:
    """Call `work` with rows and the images that their column `end` names, block by block."""
    import ray

    def place(batch: Batch) -> Batch:
        return {**batch, "block": ray.get(greys.place)[batch[end]]}

    def beside(batch: Batch) -> Batch:
        return work(batch, greys.fetch(batch[end]))

    placed = rows.map_batches(place, **WHOLE).sort("block")
    return placed.map_batches(beside, batch_size=PAIRS, batch_format="numpy")


def send_thumbnails(batch: Batch, greys: NDArray[np.uint8], mirror: bool) -> Batch:
    """Add the thumbnails of a's crops."""
    sent = np.empty((len(greys), THUMB**2), np.int16)
    turned = np.ascontiguousarray(greys[:, :, ::-1] if mirror else greys)
    for number in np.unique(batch["view"]):
        rows = batch["view"] == number
        sent[rows] = thumbnails(turned[rows], search_views(mirror)[number]).features
    return {**batch, "thumbnail": sent}


def correlate(batch: Batch, greys: NDArray[np.uint8]) -> Batch:
    """Compare the thumbnails with b's; keep what is correlated well enough."""
    score = correlations(batch["thumbnail"], thumbnails(greys, CENTRE_VIEW).features)
    return _where({**batch, "score": score}, score >= 0)


def _verified(
    greys: Greys, pairs: NDArray[np.int64], motions: NDArray[np.float64], mirror: bool
) -> NDArray[Any]:
    """Similarity of pairs of keys."""
    out = np.zeros(len(pairs))
    if len(pairs):
        columns = {"number": np.arange(len(pairs)), "a": pairs[:, 0], "b": pairs[:, 1]}
        rows = _dataset(columns | {str(k): motions[:, k] for k in range(6)}, PAIRS)
        sent = _beside(rows, greys, "a", lambda batch, greys: {**batch, "grey": greys})
        verified = _table(_beside(sent, greys, "b", partial(verify, mirror=mirror)), ["number", "similarity"])
        out[verified["number"]] = verified["similarity"]
    return out


def verify(batch: Batch, greys: NDArray[np.uint8], mirror: bool) -> Batch:
    """Similarity of a, which came with the row, and b."""
    first = prepare(batch["grey"])
    second = prepare(np.ascontiguousarray(greys[:, :, ::-1]) if mirror else greys)
    pairs = np.repeat(np.arange(len(greys))[:, None], 2, axis=1)
    motions, series = np.stack([batch[str(k)] for k in range(6)], axis=1), np.zeros(len(greys), np.bool_)
    return {"number": batch["number"], "similarity": similarities(first, pairs, motions, second, series)}


@kernel
def _alike(sketches: Any, keys: Any, others: Any, other_keys: Any) -> Any:
    out, n = np.empty((256, 2), np.int64), 0
    for i in range(len(keys)):
        for j in range(len(other_keys)):
            apart = popcount(sketches[i, 0] ^ others[j, 0]) + popcount(sketches[i, 1] ^ others[j, 1])
            if apart <= np.uint64(MAX_SKETCH_BITS) and keys[i] != other_keys[j]:
                if n == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[n, 0], out[n, 1] = i, j
                n += 1
    return out[:n]
