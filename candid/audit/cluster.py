"""The audit beyond one machine, on Ray Data: the same functions on batches, and the same pairs.

Workers decode batches of files; the small images stay in Ray's memory. The sketches of all crops go to the
cells of their nearest pivots, as narrow rows; what is alike there goes to the blocks of its images, to be
compared; files of pairs in doubt are read again. Tables, pairs and groups are the driver's.

Rows meet by sorting, not by Ray's groupby and join: the actors of its hash shuffle keep rows in memory, and
the job fails with the first of them; a sort is made of tasks, and Ray repeats those of a worker that dies.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.audit import images as read
from candid.audit.addresses import ADDRESSED, Stored, addressed
from candid.audit.images import MEASURED, Decoded, ImageSet
from candid.audit.sources import Source
from candid.data.images import PixelBudget
from candid.duplicates import candidates as search
from candid.duplicates.closer import compare
from candid.duplicates.find import Duplicates, Floats, Rows, Search, judge, pixel_digests, verify
from candid.duplicates.groups import collapse
from candid.duplicates.parts import PARTS, part_sketches
from candid.duplicates.settings import Aligned, Hash
from candid.duplicates.structure import prepare
from candid.duplicates.views import (
    CENTRE_VIEW,
    SIZE,
    View,
    cut,
    low_contrast,
    search_views,
    thumbnails,
    without_borders,
)
from candid.errors import CandidError

BATCH = 1024  # files to read, or pairs to compare, at most: what is lost with a worker
MOST_ROWS = 20_000_000  # of a cell, 1.1 GB; those beyond are left out, and reported
FAILED = Decoded(np.zeros((SIZE, SIZE), np.uint8), b"", False, False, 0, 0, 0, 0, 0.0, 0.0)
MOTION = ["m00", "m01", "m10", "m11", "dx", "dy"]
Batch = dict[str, NDArray[Any]]
WHOLE: dict[str, Any] = {"batch_size": None, "batch_format": "numpy"}  # blocks; after a sort, all of a key


def connect() -> None:
    """Use the cluster that RAY_ADDRESS names, else one on this machine; CandidError without Ray."""
    # Nothing of the set goes to Ray's makers, and it prints no warnings.
    for name in ("USAGE_STATS_ENABLED", "ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "enable_metrics_collection"):
        os.environ.setdefault(f"RAY_{name}", "0")
    try:
        import ray.data
    except ImportError:
        raise CandidError("--engine ray needs Ray: pip install 'candid-fer[ray]'") from None
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.shuffle_strategy, context.enable_progress_bars = "sort_shuffle_pull_based", False


class Greys(NamedTuple):
    """Small images in the cluster's memory.

    Keys are numbers of the N files; of what the borders of one enclose, N more.
    """

    blocks: list[Any]  # references to tables with the columns key, which rises, and grey
    place: NDArray[np.int32]  # the block of each file
    keys: Rows  # of the rows of the set

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:  # type: ignore[override]
        return self.fetch(np.ravel(self.keys[rows])).reshape(*np.shape(rows), SIZE, SIZE)

    def fetch(self, keys: Rows, mirrored: bool = False) -> NDArray[np.uint8]:
        """Images by keys: n x SIZE x SIZE."""
        import ray
        from ray.data.block import BlockAccessor

        files, out = keys % len(self.place), np.empty((len(keys), SIZE, SIZE), np.uint8)
        for number in np.unique(self.place[files]):
            block = BlockAccessor.for_block(ray.get(self.blocks[number])).to_numpy(["key", "grey"])
            rows = np.flatnonzero(self.place[files] == number)
            out[rows] = block["grey"][np.searchsorted(block["key"], files[rows])]
        inside = keys >= len(self.place)
        out[inside] = cut(out[inside], without_borders(out[inside])[1])
        return np.ascontiguousarray(out[:, :, ::-1]) if mirrored else out

    def beside(
        self,
        rows: Any,
        end: str,
        work: Callable[..., Batch],
        mirrored: bool = False,
        choose: Callable[[Batch], Batch] | None = None,
    ) -> Any:
        """Call `work` with rows and the images that their column `end` names, block by block.

        `choose` sees all rows of an image at once, and returns those that count.
        """

        def place(batch: Batch) -> Batch:
            return {**batch, "block": self.place[batch[end] % len(self.place)]}

        def beside(batch: Batch) -> Batch:
            return work(batch, self.fetch(batch[end], mirrored))

        placed = rows.map_batches(place, **WHOLE).sort("block")
        placed = placed.map_batches(choose, **WHOLE) if choose else placed
        return placed.map_batches(beside, batch_size=BATCH, batch_format="numpy")


def read_and_search(source: Source, method: Aligned | Hash, mirror: bool) -> tuple[ImageSet, Duplicates]:
    """Read a set and find its copies as read_images and find_duplicates do; CandidError without images."""
    import ray

    assert isinstance(method, Aligned)
    names, skipped = read.names_to_try(source)
    files = addressed(source, names, skipped)
    if not len(files):
        read.image_set(source, [], {}, None, [], skipped)  # says what is wrong
    rows = _dataset(files).map_batches(read_batch, **WHOLE).materialize()
    blocks, place = rows.to_arrow_refs(), np.zeros(len(files), np.int32)
    keys = ray.remote(lambda block: block["key"].to_numpy())
    for number, each in enumerate(ray.get([keys.remote(block) for block in blocks])):
        place[each] = number
    images = files.merge(_table(rows.drop_columns(["grey"])), on="key")
    skipped |= {name: reason for name, reason in zip(images["file"], images["reason"], strict=True)
                if reason and read.is_fault(source, name, reason)}  # fmt: skip
    images = images[images["reason"] == ""].reset_index(drop=True)
    greys = Greys(blocks, place, images["key"].to_numpy())
    measured = {name: images[name] for name in [*MEASURED, "bytes"]}
    image_set = read.image_set(source, images["file"].tolist(), measured, greys, _digests(images), skipped)
    exact, flat = collapse(image_set.digests), images["flat"].to_numpy()
    chosen = exact.first[~flat[exact.first]]
    chosen = chosen[np.argsort(images["content"].to_numpy()[chosen], kind="stable")]
    steps = _Cluster(rows, greys, images.iloc[chosen], image_set.originals.detailed[chosen])
    compared = steps.run(method.min_similarity, mirror)
    return image_set, judge(compared, chosen, method, exact, flat, limits=steps.limits())


def _dataset(rows: pd.DataFrame) -> Any:
    """Rows in blocks, some for each core, of BATCH at most."""
    import pyarrow as arrow
    import ray

    size = min(BATCH, len(rows) // int(4 * ray.cluster_resources().get("CPU", 1)) + 1)
    table = arrow.Table.from_pandas(rows, preserve_index=False)
    return ray.data.from_arrow([table.slice(start, size) for start in range(0, len(rows), size)])


def _table(rows: Any) -> pd.DataFrame:
    """Bring rows to the driver."""
    import pyarrow as arrow
    import ray

    blocks: Any = ray.get(rows.to_arrow_refs())  # empty ones may have no columns
    return pd.DataFrame(arrow.concat_tables(blocks, promote_options="default").to_pandas())


def _bytes(rows: NDArray[Any]) -> NDArray[np.object_]:
    return np.array([row.tobytes() for row in rows], object)


def read_batch(files: Batch) -> Batch:
    """Decode files: Decoded and what the search needs of each; of one that can't be, the reason."""
    decode = partial(read.decode, budget=PixelBudget(int(files["bytes"].sum())))
    results = [result for _, result in read.in_threads(Stored(files), [*files["file"]], decode)]
    table = pd.DataFrame([result if isinstance(result, Decoded) else FAILED for result in results])
    grey = np.stack(table.pop("grey").to_list())
    bordered, boxes = without_borders(grey)
    inside, box = np.full((2, len(grey)), b"", object)
    inside[bordered] = _bytes(thumbnails(cut(grey[bordered], boxes), CENTRE_VIEW).sketches.T)
    box[bordered] = _bytes(boxes)
    return {name: table[name].to_numpy() for name in table} | {
        "key": files["key"],
        "grey": grey,
        "reason": np.array(["" if isinstance(each, Decoded) else str(each) for each in results], object),
        "content": _bytes(pixel_digests(grey)),
        "flat": low_contrast(grey),
        "sketch": _bytes(thumbnails(grey, CENTRE_VIEW).sketches.T),
        "inside": inside,  # sketch of what the borders enclose
        "box": box,  # where that lies
        "parts": _bytes(part_sketches(grey)),
    }


def _digests(images: pd.DataFrame) -> list[bytes]:
    """Digests that exact copies share, as read_images has them.

    What may be a copy is read again: equal once reduced, or of a size of which some were decoded reduced and
    others not (all of that size, since to compare them would bring them together).
    """
    digests, sides = images.set_index("key")["digest"], np.sort(images[["width", "height"]], axis=1)
    again = images["reduced"].groupby([*sides.T]).transform("nunique") > 1
    again |= images["digest"].duplicated(keep=False)
    if again.any():
        rows = _dataset(images.loc[again, ["key", *ADDRESSED, "digest"]])
        digests.update(_table(rows.map_batches(digest_batch, **WHOLE)).set_index("key")["digest"])
    return digests.tolist()


def digest_batch(files: Batch) -> Batch:
    """Digests of all that files show; those that were there of what can no longer be read."""
    digests = dict(zip(files["file"], files["digest"], strict=True))
    results = read.in_threads(Stored(files), [*digests], read.full_digest)
    digests |= {name: digest for name, digest in results if isinstance(digest, bytes)}
    return {"key": files["key"], "digest": np.array([*digests.values()], object)}


class _Cluster(Search):
    """The search among `images`, with its steps on the cluster."""

    cut = 0  # entries of full cells

    def __init__(self, rows: Any, greys: Greys, images: pd.DataFrame, detailed: NDArray[np.bool_]) -> None:
        self.bordered = np.flatnonzero(images["inside"] != b"")
        self.detailed, self.fresh = detailed, np.ones(len(images) + len(self.bordered), np.bool_)
        self._rows, self._greys, self._images, keys = rows, greys, images, images["key"].to_numpy()
        self._keys = np.concatenate([keys, keys[self.bordered] + len(greys.place)])

    def candidates(self, mirrored: bool) -> search.Candidates:
        count, ids = len(self._keys), np.full(2 * len(self._greys.place), -1)
        if not count:
            return search.Candidates(np.empty((0, 2), np.int64), np.empty(0, np.int16), np.empty((0, 6)))
        ids[self._keys] = np.arange(count)
        shown = b"".join([*self._images["sketch"], *self._images["inside"].iloc[self.bordered]])
        sketches = np.ascontiguousarray(np.frombuffer(shown, np.uint64).reshape(count, -1).T)
        pivots = search.find_pivots(sketches, search.MANY)
        views = search_views(mirrored, bool(self.detailed.any()))
        work = partial(crop_rows, wanted=ids >= 0, pivots=pivots, views=views, mirrored=mirrored)
        crops = self._rows.map_batches(work, **WHOLE).sort("cell")
        hits = crops.map_batches(partial(scan_cells, most=MOST_ROWS), **WHOLE)
        scored = self._greys.beside(hits, "a", partial(correlate, views=views), mirrored, nearest_centres)
        table = _table(scored)
        self.cut += int(table["cut"].sum())
        table = table[table["a"] != table["b"]]
        best = table.groupby(["a", "view"])["score"].rank("min", ascending=False)
        table = table[best <= search.CLOSEST]  # as many of a crop as are kept on one machine
        ends = np.stack([ids[table["a"]], ids[table["b"]]], axis=1)
        hits = search.by_pair(ends, table["score"].to_numpy(), table["view"].to_numpy(np.int64), count)
        closest = search.closest([hits], count)
        return search.to_verify(closest, count, views, mirrored)

    def limits(self) -> str:
        full = f"the search left out {self.cut:,} entries of cells with more than {MOST_ROWS:,}"
        return "; ".join(filter(None, [full if self.cut else "", super().limits()]))

    def similarity(self, found: search.Candidates, mirrored: bool) -> Floats:
        motions = found.motions[found.starts]
        return self._verified(found.pairs, motions, mirrored, closer=False)[:, 0].copy()

    def _verified(self, pairs: Rows, motions: Floats, mirrored: bool, closer: bool) -> Floats:
        if not len(pairs):
            return np.empty((0, 7))
        rows = pd.DataFrame(motions, columns=MOTION).rename_axis("row").reset_index()
        rows = _dataset(rows.assign(a=self._keys[pairs[:, 0]], b=self._keys[pairs[:, 1]]))
        sent = self._greys.beside(rows, "a", lambda batch, greys: {**batch, "grey": greys})
        said = _table(self._greys.beside(sent, "b", partial(verify_batch, closer=closer), mirrored))
        return np.asarray(said.set_index("row").sort_index())

    def parts(self, rows: Rows) -> NDArray[np.uint64]:
        parts = b"".join(self._images["parts"].iloc[rows])
        return np.frombuffer(parts, np.uint64).reshape(len(rows), len(PARTS), -1)

    def compare(self, pairs: Rows, motions: Floats, mirrored: bool) -> Floats:
        import ray

        work, tasks = ray.remote(compare), []
        for start in range(0, len(pairs), BATCH):
            rows, ends = np.unique(pairs[start : start + BATCH], return_inverse=True)
            owners, owner = np.unique(self.owner[rows], return_inverse=True)
            images, some = self._images.iloc[owners], motions[start : start + BATCH]
            originals = read.originals(Stored(images), images[["file", "width", "height"]])
            inside = rows >= len(self._images)
            boxes = b"".join(self._images["box"].iloc[self.owner[rows[inside]]])
            shown = originals.and_insides(owner, np.frombuffer(boxes, np.int64).reshape(-1, 4))
            ends = ends.reshape(-1, 2)
            tasks.append(work.remote(shown.read, ends, some, inside[ends].any(axis=1), mirrored))
        return np.concatenate([np.empty((0, 2)), *ray.get(tasks)])


def crop_rows(
    batch: Batch, wanted: NDArray[np.bool_], pivots: Any, views: list[View], mirrored: bool
) -> Iterator[Batch]:
    """Cells of all crops of the wanted images, and of their centres (view -1) with thumbnails."""
    bordered, boxes = without_borders(batch["grey"])
    keys = np.concatenate([batch["key"], batch["key"][bordered] + len(wanted) // 2])
    shown = np.concatenate([batch["grey"], cut(batch["grey"][bordered], boxes)])
    keys, grey = keys[wanted[keys]], shown[wanted[keys]]
    crops = np.ascontiguousarray(grey[:, :, ::-1]) if mirrored else grey
    for number, view in enumerate([CENTRE_VIEW, *views], start=-1):
        made = thumbnails(crops if number >= 0 else grey, view)
        probes = min(search.PROBES, pivots.shape[1]) if number >= 0 else 1
        cells = search.nearest(made.sketches, pivots, 0, len(keys), probes)
        each = np.arange(len(keys)).repeat(probes)
        sent = np.full(len(each), b"", object) if number >= 0 else _bytes(made.features)
        where = {"cell": cells.ravel(), "key": keys[each], "view": np.full(len(each), number, np.int8)}
        bits = {"sketch": made.sketches.T[each], "detail": made.details.T[each]}
        yield {**where, **bits, "thumbnail": sent}


def scan_cells(batch: Batch, most: int) -> Iterator[Batch]:
    """Keys (a's crop, b's centre) of alike sketches in a cell; one row, a = b, counts what was left out."""
    order = np.lexsort((batch["key"], batch["cell"]))
    for rows in np.split(order, np.flatnonzero(np.diff(batch["cell"][order])) + 1):
        bits = [np.ascontiguousarray(batch[name][rows[:most]].T) for name in ("sketch", "detail")]
        key, view = batch["key"][rows[:most]], batch["view"][rows[:most]]
        crops, centres = np.flatnonzero(view >= 0), np.flatnonzero(view < 0)
        first, second = ([each[:, some] for each in bits] for some in (crops, centres))
        i, j, apart = search.alike_sketches(*first, key[crops], *second, key[centres]).T
        i, j, apart = np.append(crops[i], 0), np.append(centres[j], 0), np.append(apart, 0)
        cut = np.zeros(len(i), np.int64)
        cut[-1] = max(len(rows) - most, 0)
        where = {"a": key[i], "b": key[j], "view": view[i], "apart": apart, "cut": cut}
        yield {**where, "thumbnail": batch["thumbnail"][rows[j]]}


def nearest_centres(hits: Batch) -> Batch:
    """Those of a crop's hits that are compared on one machine, too; rows that count what was cut stay."""
    of = pd.DataFrame({name: hits[name] for name in ("a", "view", "apart")})
    of["other"] = hits["a"] != hits["b"]
    rank = of.groupby(["a", "view", "other"])["apart"].rank("min")
    kept = np.asarray((rank <= search.NEAREST) | ~of["other"])
    return {name: column[kept] for name, column in hits.items()}


def correlate(batch: Batch, greys: NDArray[np.uint8], views: list[View]) -> Batch:
    """Compare the thumbnails of a's crops with b's; keep what is correlated well enough."""
    batch["score"] = np.zeros(len(greys), np.int64)
    for number in np.unique(batch["view"]):
        rows = np.flatnonzero((batch["view"] == number) & (batch["a"] != batch["b"]))
        crops = thumbnails(greys[rows], views[number]).features
        centres = np.frombuffer(b"".join(batch["thumbnail"][rows]), np.int16).reshape(crops.shape)
        batch["score"][rows] = search.correlations(crops, centres)
    return {name: batch[name][batch["score"] >= 0] for name in ("a", "b", "view", "cut", "score")}


def verify_batch(batch: Batch, greys: NDArray[np.uint8], closer: bool) -> Batch:
    """What `verify` says of a, whose image came with the row, and b."""
    pairs = np.repeat(np.arange(len(greys))[:, None], 2, axis=1)
    motions, series = np.column_stack([batch[name] for name in MOTION]), np.zeros(len(greys), np.bool_)
    said = verify(prepare(batch["grey"]), prepare(greys), pairs, motions, series, closer)
    return {"row": batch["row"], **{str(number): column for number, column in enumerate(said.T)}}
