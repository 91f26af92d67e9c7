"""The audit beyond one machine, on Ray Data: the same functions on batches, and the same pairs.

Workers decode batches of files; the small images stay in Ray's memory, in blocks. Sketches of all crops go, as
narrow rows (cell, key, view, sketch), to the cells of their nearest pivots, and those alike in a cell go on, first
to the block of the image that the crop is of, then to that of the other, where thumbnails are compared; then, for
verification, pairs of images. Tables, the closest pairs and groups are the driver's.

Rows are brought together by sorting, not by Ray's groupby and join: its hash shuffle keeps rows in actors, and
fails with the first of them, while a sort is made of tasks, which are repeated where a worker dies.
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

from candid.audit.images import MEASURED, Decoded, ImageSet, _alike, _decode, _full_digest, _in_threads
from candid.audit.images import image_set, is_fault, names_to_try
from candid.audit.sources import Source, labels_and_parts
from candid.data.archives import Files, UnreadableError, one_line
from candid.data.images import PixelBudget
from candid.duplicates.alignment import prepare, similarities
from candid.duplicates.candidates import (
    CLOSEST, LEAST_PRODUCT, MANY, MAX_SKETCH_BITS, MIN_CORRELATION, PARTS, PROBES,
    Candidates, _nearest, _product, by_pair, closest, find_pivots, to_verify, trimmed_correlation,
)  # fmt: skip
from candid.duplicates.find import Duplicates, comparable, judge, pixel_digests
from candid.duplicates.groups import collapse
from candid.duplicates.kernels import kernel, popcount
from candid.duplicates.settings import Aligned
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
CHUNK = 1024  # rows whose images are in a worker's memory at a time
MOST_ROWS = 20_000_000  # of a cell, 1 GB; those beyond are left out, and reported
SAMPLE = 2_000_000  # sketches that place the pivots, at most
FAILED = Decoded(np.zeros((SIZE, SIZE), np.uint8), bytes(16), False, False, 0, 0, 0, 0, 0.0, 0.0)

Batch = dict[str, NDArray[Any]]
BLOCK: dict[str, Any] = {
    "batch_size": None,
    "batch_format": "numpy",
}  # a whole block: after a sort, whole groups


class Stored(Files):
    """Files by addresses that fsspec opens: name -> address, bytes."""

    def __init__(self, path: str, addresses: dict[str, tuple[str, int]]) -> None:
        super().__init__(Path(path))
        self._addresses = addresses
        self._sort(addresses, [])

    def size(self, name: str) -> int:
        return self._addresses[name][1]

    def address(self, name: str) -> str:
        return self._addresses[name][0]

    def _open(self, name: str) -> IO[bytes]:
        import fsspec

        try:
            opened: IO[bytes] = fsspec.open(self.address(name), "rb").open()
        except (PermissionError, FileNotFoundError) as error:
            raise UnreadableError(error.strerror or type(error).__name__) from None
        return opened


@contextmanager
def open_address(url: str, use_labels: bool = True) -> Iterator[Source]:
    """Open a folder of pictures at an address that fsspec knows: s3://bucket/folder, zip://::file.zip."""
    try:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(url)
        found = system.find(root, detail=True)
    except (ImportError, OSError, ValueError) as error:
        expected = "expected a folder at an address that fsspec reads"
        raise CandidError(f"{url}: {type(error).__name__}: {error}; {expected}") from None
    _, chained, rest = url.partition("::")
    addresses = {
        one_line(path.removeprefix(root).lstrip("/")): (
            system.unstrip_protocol(path) + chained + rest,
            info["size"],
        )
        for path, info in found.items()
    }
    yield Source(Stored(url, addresses), lambda names: labels_and_parts(names, use_labels), False)


@contextmanager
def connected() -> Iterator[None]:
    """Use the cluster of RAY_ADDRESS, or one on this machine; CandidError where Ray is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray's makers need not know of it
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns
    try:
        import ray.data
        from ray.data.context import ShuffleStrategy
    except ImportError:
        raise CandidError(
            "--engine ray needs Ray, which is not installed: pip install 'candid-fer[ray]'"
        ) from None
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.shuffle_strategy = ShuffleStrategy.SORT_SHUFFLE_PULL_BASED
    context.enable_progress_bars = False
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


class Store(NamedTuple):
    """Small images in the cluster's memory, by key: the row of the file, or `tried` more for its inside."""

    blocks: list[Any]  # references to tables with key and grey
    place: Any  # reference to the number of each key's block

    def greys(self, keys: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Fetch images: N x SIZE x SIZE, in the order of `keys`."""
        import ray
        from ray.data.block import BlockAccessor

        place = ray.get(self.place)[keys]
        out = np.empty((len(keys), SIZE, SIZE), np.uint8)
        for number in np.unique(place):
            block = BlockAccessor.for_block(ray.get(self.blocks[number])).to_numpy(["key", "grey"])
            rows, order = np.flatnonzero(place == number), np.argsort(block["key"])
            out[rows] = block["grey"][order[np.searchsorted(block["key"], keys[rows], sorter=order)]]
        return out


class Greys(NamedTuple):
    """Stands for ImageSet.pixels: fetches only the rows that are asked for."""

    store: Store
    keys: NDArray[np.int64]

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:  # type: ignore[override]
        greys = self.store.greys(np.atleast_1d(self.keys[rows]))
        return greys if np.ndim(rows) else greys[0]


def read_and_search(
    source: Source, method: Aligned, mirror: bool, many: int = MANY
) -> tuple[ImageSet, Duplicates]:
    """Read a set and find its copies on the cluster that is connected, as on one machine.

    Args:
        many: number of images from which on the search has more than one cell.

    Raises:
        CandidError: no image, or pictures that are no files which workers could open.
    """
    import ray

    tried, skipped = names_to_try(source)
    files = _files(source, tried, skipped)
    count = len(files["key"])
    if not count:
        image_set(source, [], {}, None, [], skipped)
    read = _dataset(files, FILES).map_batches(partial(read_batch, count=count), **BLOCK).materialize()
    blocks = read.to_arrow_refs()
    keys = ray.get([ray.remote(_keys).remote(block) for block in blocks])
    place = np.zeros(2 * count, np.int32)
    place[np.concatenate(keys)] = np.repeat(np.arange(len(keys)), [len(each) for each in keys])
    store = Store(blocks, ray.put(place))
    table = _table(read, [*MEASURED, "key", "reason", "digest", "content", "reduced", "flat", "sketch"])
    names = files["file"][table["key"] % count]
    skipped |= {name: reason for name, reason in zip(names, table["reason"], strict=True)
                if reason and is_fault(source, name, reason)}  # fmt: skip
    table = {column: values[table["reason"] == ""] for column, values in table.items()}
    images = {column: values[table["key"] < count] for column, values in table.items()}
    rows = images["key"]
    digests, left = _full_digests(read, files, images)
    measured = {column: images[column] for column in MEASURED} | {"bytes": files["bytes"][rows]}
    found = image_set(source, files["file"][rows].tolist(), measured, Greys(store, rows), digests, skipped)
    exact, flat = collapse(found.digests), images["flat"]
    content = np.ascontiguousarray(images["content"]).view(np.dtype((np.void, 16)))[:, 0]
    chosen = exact.first[~flat[exact.first]]
    chosen = chosen[np.argsort(content[chosen], kind="stable")]
    bordered = np.flatnonzero(np.isin(rows[chosen] + count, table["key"]))
    owner = np.concatenate([np.arange(len(chosen)), bordered])
    shown = np.concatenate([rows[chosen], rows[chosen[bordered]] + count])
    ids, sketches = np.full(2 * count, -1), np.zeros((2, 2 * count), np.uint64)
    ids[shown], sketches[:, table["key"]] = np.arange(len(shown)), table["sketch"].T
    sample = np.linspace(0, len(shown) - 1, min(len(shown), SAMPLE)).astype(np.int64)
    pivots = find_pivots(sketches[:, shown[sample]], len(shown), many)
    tables = []
    for mirrored in (False, True)[: 1 + mirror]:
        candidates, cut = _candidates(read, store, ids, pivots, mirrored)
        compared = comparable(candidates.pairs, owner, bordered)
        pairs, motions = candidates.pairs[compared], candidates.motions[compared]
        similarity = _verified(store, shown[pairs], motions, mirrored)
        columns = {"a": owner[pairs[:, 0]], "b": owner[pairs[:, 1]], "similarity": similarity}
        tables.append(pd.DataFrame({**columns, "kind": "mirror" if mirrored else "near"}))
        left += cut
    duplicates = judge(pd.concat(tables, ignore_index=True), chosen, method, exact, flat)
    if left:
        full = f"the search left out {left:,} entries of full cells ({MOST_ROWS:,} at most); copies may be missing"
        duplicates = duplicates._replace(warning="; ".join(filter(None, [duplicates.warning, full])))
    return found, duplicates


def _files(source: Source, names: list[str], skipped: dict[str, str]) -> Batch:
    """Where workers find the files; those that can't be read go to `skipped`."""
    rows: list[tuple[str, str, int]] = []
    for name in names:
        address = source.files.address(name)
        if address is None:
            expected = "expected a folder, a table of paths, or an address as s3://bucket/folder"
            raise CandidError(
                f"{source.files.path}: pictures inside a file, which --engine ray can't read; {expected}"
            )
        try:
            rows.append((name, address, source.files.size(name)))
        except UnreadableError as error:
            skipped[name] = str(error)
    table = pd.DataFrame(rows, columns=["file", "address", "bytes"], dtype=object)
    texts = {column: table[column].to_numpy(object) for column in ("file", "address")}
    return {"key": np.arange(len(rows)), **texts, "bytes": table["bytes"].to_numpy(np.int64)}


def _dataset(columns: Batch, most: int) -> Any:
    """Rows in blocks of up to `most`, and some blocks for each core."""
    import pyarrow as arrow
    import ray

    table = arrow.table(columns)
    size = min(most, -(-len(table) // (4 * max(int(ray.cluster_resources().get("CPU", 1)), 1))))
    return ray.data.from_arrow([table.slice(start, size) for start in range(0, len(table), size)])


def _table(rows: Any, columns: list[str]) -> Batch:
    """Bring columns to the driver, sorted by the first `key` there."""
    import ray

    parts = ray.get(
        rows.map_batches(lambda batch: {name: batch[name] for name in columns}, **BLOCK).to_numpy_refs()
    )
    parts = [part for part in parts if len(part)]
    table = {name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0, np.int64)
             for name in columns}  # fmt: skip
    order = np.argsort(table["key"], kind="stable") if "key" in table else slice(None)
    return {name: values[order] for name, values in table.items()}


def _keys(block: Any) -> Any:
    return block["key"].to_numpy()


def read_batch(files: Batch, count: int) -> Batch:
    """Decode files: a row for each, and one for what even borders enclose, with the key + `count`."""
    budget = PixelBudget(int(files["bytes"].sum()))
    results = [result for _, result in _in_threads(_stored(files), partial(_decode, budget=budget))]
    decoded = [result if isinstance(result, Decoded) else FAILED for result in results]
    grey = np.stack([each.grey for each in decoded])
    bordered, insides = without_borders(grey)
    rows = np.concatenate([np.arange(len(grey)), bordered])
    shown = np.concatenate([grey, insides])
    reasons = ["" if isinstance(result, Decoded) else str(result) for result in results]
    made = {
        column: np.array([getattr(each, column) for each in decoded])[rows]
        for column in (*MEASURED, "reduced")
    }
    return made | {
        "key": np.concatenate([files["key"], files["key"][bordered] + count]),
        "grey": shown,
        "reason": np.array(reasons, object)[rows],
        "digest": np.stack([np.frombuffer(each.digest, np.uint8) for each in decoded])[rows],
        "content": pixel_digests(shown).view(np.uint8).reshape(-1, 16),
        "flat": low_contrast(grey)[rows],
        "sketch": np.ascontiguousarray(thumbnails(shown, CENTRE_VIEW).sketches.T),
    }


def _stored(files: Batch) -> Iterator[tuple[str, bytes | UnreadableError]]:
    addresses = zip(files["address"], files["bytes"].tolist(), strict=True)
    names = files["file"].tolist()
    return Stored("", dict(zip(names, addresses, strict=True))).read_all(names)


def _full_digests(read: Any, files: Batch, images: Batch) -> tuple[list[bytes], int]:
    """Digests as read_images has them: of what may be exact copies, of all that the files show."""
    import ray

    digests = pd.Series([row.tobytes() for row in images["digest"]], images["key"], dtype=object)
    again, left = digests.duplicated(keep=False).to_numpy(), 0
    sides = np.sort(np.stack([images["width"], images["height"]]), axis=0)
    kinds = pd.Series(images["reduced"]).groupby([*sides]).transform("nunique").to_numpy()
    if (kinds > 1).any():
        wanted = np.zeros(2 * len(files["key"]), np.bool_)
        wanted[images["key"][kinds > 1]] = True
        rows = read.map_batches(partial(sizes_of, wanted=ray.put(wanted)), **BLOCK).sort("size")
        alike = _table(rows.map_batches(partial(alike_of, most=MOST_ROWS), **BLOCK), ["key", "left"])
        again, left = again | np.isin(images["key"], alike["key"]), int(alike["left"].sum())
    if again.any():
        chosen = {column: values[images["key"][again]] for column, values in files.items()}
        full = _table(_dataset(chosen, FILES).map_batches(digest_batch, **BLOCK), ["key", "digest"])
        digests[full["key"]] = [row.tobytes() for row in full["digest"]]
    return digests.tolist(), left


def sizes_of(batch: Batch, wanted: Any) -> Batch:
    """Choose images, and give each a key of its size."""
    import ray

    rows = ray.get(wanted)[batch["key"]]
    sides = np.sort(np.stack([batch["width"], batch["height"]]), axis=0)[:, rows]
    columns = ("key", "grey", "digest", "reduced", "width", "height")
    return {"size": (sides[0] << 32) + sides[1], **{name: batch[name][rows] for name in columns}}


def alike_of(batch: Batch, most: int) -> Iterator[Batch]:
    """Keys of what may be exact copies; of an image of a size of which too many are there, nothing is said."""
    for rows, left in _groups(batch, "size", most):
        kept = {
            key: FAILED._replace(
                grey=grey, digest=digest.tobytes(), reduced=bool(reduced), width=width, height=height
            )
            for key, grey, digest, reduced, width, height in zip(
                *(batch[name][rows] for name in ("key", "grey", "digest", "reduced", "width", "height")),
                strict=True,
            )
        }
        keys = np.array([*_alike(kept), -1], np.int64)
        yield {"key": keys, "left": np.where(keys < 0, left, 0)}


def digest_batch(files: Batch) -> Batch:
    """Digests of all that files show; without those that can no longer be read."""
    results = [result for _, result in _in_threads(_stored(files), _full_digest)]
    read = np.array([isinstance(result, bytes) for result in results])
    digests = [np.frombuffer(result, np.uint8) for result in results if isinstance(result, bytes)]
    return {"key": files["key"][read], "digest": np.array(digests, np.uint8).reshape(-1, 16)}


def _groups(batch: Batch, column: str, most: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Rows of equal keys, at most `most` of each, and how many more there are."""
    order = np.lexsort((batch["key"], batch[column]))
    starts = np.flatnonzero(np.diff(batch[column][order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        yield rows[:most], max(len(rows) - most, 0)


def _candidates(
    read: Any, store: Store, ids: NDArray[np.int64], pivots: NDArray[np.uint64], mirror: bool
) -> tuple[Candidates, int]:
    """Pairs as candidate_pairs finds them, and how many entries of full cells were left out."""
    import ray

    crops = read.map_batches(partial(crop_rows, ids=ray.put(ids >= 0), pivots=pivots, mirror=mirror), **BLOCK)
    hits = crops.sort("cell").map_batches(partial(scan_cells, most=MOST_ROWS), **BLOCK).materialize()
    left = _table(
        hits.map_batches(lambda batch: {"left": batch["left"][batch["left"] > 0]}, **BLOCK), ["left"]
    )
    near = hits.map_batches(
        lambda batch: {name: batch[name][batch["left"] == 0] for name in ("a", "b", "view")}, **BLOCK
    )
    sent = _beside(near, store, "a", partial(send_thumbnails, mirror=mirror))
    table = _table(_beside(sent, store, "b", correlate), ["a", "b", "view", "score"])
    order = np.lexsort((-table["score"], table["view"], table["a"]))
    a, b, view, score = (table[name][order].astype(np.int64) for name in ("a", "b", "view", "score"))
    crop = a * 64 + view
    first = np.searchsorted(crop, crop)
    last = np.minimum(first + CLOSEST, np.searchsorted(crop, crop, "right")) - 1
    kept = score >= score[last]  # as many of a crop as a search on one machine keeps
    hits = np.stack([ids[a], ids[b], score], axis=1)[kept]
    count = int((ids >= 0).sum())
    return to_verify(closest(by_pair(hits, view[kept], count), count), count, mirror), int(left["left"].sum())


def crop_rows(batch: Batch, ids: Any, pivots: NDArray[np.uint64], mirror: bool) -> Iterator[Batch]:
    """Narrow rows: sketches of all crops of the chosen images, and (view -1) those of the centres."""
    import ray

    rows = ray.get(ids)[batch["key"]]
    keys, grey = batch["key"][rows], np.ascontiguousarray(batch["grey"][rows])

    def entries(sketches: NDArray[np.uint64], view: int, probes: int) -> Batch:
        cells = _nearest(sketches, pivots, 0, len(keys), min(probes, pivots.shape[1]))
        each = np.repeat(np.arange(len(keys)), cells.shape[1])
        return {
            "cell": cells.ravel().astype(np.int64), "key": keys[each], "view": np.full(len(each), view, np.int8),
            "first": sketches[0, each], "second": sketches[1, each],
        }  # fmt: skip

    yield entries(np.ascontiguousarray(batch["sketch"][rows].T), -1, 1)
    grey = np.ascontiguousarray(grey[:, :, ::-1]) if mirror else grey
    for number, view in enumerate(search_views(mirror)):
        yield entries(thumbnails(grey, view).sketches, number, PROBES)


def scan_cells(batch: Batch, most: int) -> Iterator[Batch]:
    """Pairs (a's crop, b's centre) of alike sketches in a cell; a row with `left` for what was too many."""
    for rows, left in _groups(batch, "cell", most):
        crops, centres = (rows[kind] for kind in (batch["view"][rows] >= 0, batch["view"][rows] < 0))
        sides = [[batch[name][side] for name in ("key", "first", "second")] for side in (crops, centres)]
        hits = _alike_sketches(*sides[0], *sides[1])
        cut = rows[: min(left, 1)]
        a, b = np.append(crops[hits[:, 0]], cut), np.append(centres[hits[:, 1]], cut)
        lost = np.append(np.zeros(len(hits), np.int64), np.full(len(cut), left))
        yield {"a": batch["key"][a], "b": batch["key"][b], "view": batch["view"][a], "left": lost}


def _beside(rows: Any, store: Store, end: str, work: Callable[[Batch, NDArray[np.uint8]], Batch]) -> Any:
    """Call `work` for rows, a block of images at a time, with the images that the column `end` names."""
    import ray

    def keyed(batch: Batch) -> Batch:
        return {**batch, "block": ray.get(store.place)[batch[end]]}

    def beside(batch: Batch) -> Batch:
        return work(batch, store.greys(batch[end]))

    options = {"batch_size": CHUNK, "batch_format": "numpy"}
    return rows.map_batches(keyed, **BLOCK).sort("block").map_batches(beside, **options)


def send_thumbnails(batch: Batch, greys: NDArray[np.uint8], mirror: bool) -> Batch:
    """Thumbnails of the crops of a."""
    sent = np.empty((len(greys), THUMB**2), np.int16)
    views = search_views(mirror)
    for number in np.unique(batch["view"]):
        rows = np.flatnonzero(batch["view"] == number)
        grey = greys[rows][:, :, ::-1] if mirror else greys[rows]
        sent[rows] = thumbnails(np.ascontiguousarray(grey), views[number]).features
    return {**{name: batch[name] for name in ("a", "b", "view")}, "thumbnail": sent}


def correlate(batch: Batch, greys: NDArray[np.uint8]) -> Batch:
    """Keep pairs whose thumbnails are correlated well enough."""
    score = _correlations(batch["thumbnail"], thumbnails(greys, CENTRE_VIEW).features)
    return {**{name: batch[name][score >= 0] for name in ("a", "b", "view")}, "score": score[score >= 0]}


def _verified(
    store: Store, pairs: NDArray[np.int64], motions: NDArray[np.float64], mirror: bool
) -> NDArray[np.float64]:
    """Similarity of each pair of keys."""
    out = np.zeros(len(pairs))
    if len(pairs):
        columns = {"a": pairs[:, 0], "b": pairs[:, 1], "number": np.arange(len(pairs))}
        rows = _dataset(columns | {f"m{k}": motions[:, k] for k in range(6)}, CHUNK)
        sent = _beside(rows, store, "a", lambda batch, greys: {**batch, "grey": greys})
        table = _table(_beside(sent, store, "b", partial(verify, mirror=mirror)), ["number", "similarity"])
        out[table["number"]] = table["similarity"]
    return out


def verify(batch: Batch, greys: NDArray[np.uint8], mirror: bool) -> Batch:
    """Similarity of a, which came with the row, and b."""
    first = prepare(np.ascontiguousarray(batch["grey"]))
    second = prepare(np.ascontiguousarray(greys[:, :, ::-1]) if mirror else greys)
    rows = np.repeat(np.arange(len(greys))[:, None], 2, axis=1)
    motions = np.stack([batch[f"m{k}"] for k in range(6)], axis=1)
    none = np.zeros(len(greys), np.bool_)
    return {"number": batch["number"], "similarity": similarities(first, rows, motions, second, none)}


@kernel
def _alike_sketches(
    keys: Any, first: Any, second: Any, others: Any, others_first: Any, others_second: Any
) -> Any:
    out = np.empty((256, 2), np.int64)
    n = 0
    for i in range(len(keys)):
        for j in range(len(others)):
            apart = popcount(first[i] ^ others_first[j]) + popcount(second[i] ^ others_second[j])
            if apart <= np.uint64(MAX_SKETCH_BITS) and keys[i] != others[j]:
                if n == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[n, 0], out[n, 1] = i, j
                n += 1
    return out[:n]


@kernel
def _correlations(first: Any, second: Any) -> Any:
    """Correlation of each pair of thumbnails, in millionths as the search has it; -1 where it is too low."""
    out = np.full(len(first), -1, np.int64)
    for i in range(len(first)):
        product = _product(first[i], second[i])
        if product >= LEAST_PRODUCT:
            correlation = trimmed_correlation(first[i], second[i], product)
            if correlation >= MIN_CORRELATION:
                out[i] = round(correlation * PARTS)
    return out
