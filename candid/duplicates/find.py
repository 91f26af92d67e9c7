"""Find the exact and near-duplicates of an array of images."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from candid.duplicates.alignment import promising, similarities
from candid.duplicates.candidates import Candidates, candidate_pairs
from candid.duplicates.closer import (
    AT_ONCE,
    CLEAR,
    MOST,
    STILL,
    Originals,
    approach,
    compare,
    likeliest,
)
from candid.duplicates.groups import Copies, collapse, collapsed, copy_pairs, group_ids, open_out
from candid.duplicates.hashing import hash_pairs
from candid.duplicates.parts import alike_in_parts, part_sketches
from candid.duplicates.settings import Aligned, Hash
from candid.duplicates.structure import Prepared, halves, prepare
from candid.duplicates.views import cut, low_contrast, without_borders, working_images
from candid.errors import CandidError

VERIFIED = 75_000  # pairs at a time, whose images are prepared: 5 KiB each
JUST_REJECTED = 0.15  # pairs this much below the threshold are handed on, to be looked at
CAUSES = {
    "aligned": "min_similarity is too low for these images, or they are frames of one video",
    "hash": "max_distance_bits is too high for these images; expected less, or the method aligned",
}

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Duplicates(NamedTuple):
    """Pairs and groups of copies; ids are rows of the array."""

    pairs: pd.DataFrame  # a < b, similarity, kind (exact, near, mirror), sorted by a, b
    rejected: pd.DataFrame  # pairs that alignment turned down by less than JUST_REJECTED; columns as `pairs`
    groups: NDArray[np.int64]  # smallest id of each image's group, -1 for an image without a duplicate
    flat: NDArray[np.bool_]  # images of too little contrast to compare: only their exact copies count
    warning: str  # why the groups are not plausible, and what a limit left out; else ""


def find_duplicates(
    images: NDArray[np.uint8],
    method: Aligned | Hash | str = "aligned",
    mirror: bool = False,
    digests: NDArray[np.void] | None = None,
    series: NDArray[np.bool_] | None = None,
    originals: Originals | None = None,
    fresh: NDArray[np.bool_] | None = None,
    known: pd.DataFrame | None = None,
) -> Duplicates:
    """Find all pairs of images that show the same photograph.

    Args:
        images: uint8, N x H x W or N x H x W x 3; `aligned` compares them in grey at 48 x 48.
        method: "aligned" or "hash", or one of them with its settings, e.g. Aligned(min_similarity=0.9).
        mirror: find mirrored copies, too.
        digests: N values that are equal for exact copies, where `images` are reduced; default: of the pixels.
        series: N flags, images of known persons a moment apart, cut alike; `aligned` doubts their pairs more.
        originals: where `aligned` may look again, in more pixels, at pairs that it would reject.
        fresh: N flags; `aligned` compares only pairs with such an image.
        known: what an earlier search said of pairs of the other images, so that these need no new one: a, b,
            similarity, kind, as pairs and rejected of the result have them, of one image per set of copies.

    Of many copies of one image (groups.LISTED) only the pairs with the first are listed; groups are complete.

    Raises:
        CandidError: no such method.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 12, 12), dtype=np.uint8)
        >>> images = images.repeat(4, axis=1).repeat(4, axis=2)
        >>> images[2] = images[0]
        >>> images[3] = images[1] // 2 + 60
        >>> duplicates = find_duplicates(images)
        >>> duplicates.pairs[["a", "b", "kind"]].to_numpy().tolist()
        [[0, 2, 'exact'], [1, 3, 'near']]
        >>> duplicates.groups.tolist()
        [0, 1, 0, 1]
    """
    if isinstance(method, str):
        if method not in CAUSES:
            raise CandidError(f"method = {method!r}; expected one of {', '.join(CAUSES)}")
        method = Aligned() if method == "aligned" else Hash()
    exact = collapse(pixel_digests(images) if digests is None else digests)
    grey = working_images(images)
    flat = low_contrast(grey)
    chosen = exact.first[~flat[exact.first]]
    # In the order of their content, so that the pairs do not depend on the order of the rows.
    chosen = chosen[np.argsort(pixel_digests(images[chosen]), kind="stable")]
    limits = ""
    if isinstance(method, Aligned):
        doubted = np.zeros(len(images), np.bool_) if series is None else series
        new = np.ones(len(images), np.bool_) if fresh is None else fresh
        chosen = chosen if new[chosen].any() else chosen[:0]
        again = originals and originals.of(chosen)
        search = Search(grey[chosen], new[chosen], doubted[chosen], again)
        compared, limits = search.run(method.min_similarity, mirror), search.limits()
    else:
        compared, known = hash_pairs(images[chosen], method, mirror), None
    return judge(compared, chosen, method, exact, flat, known, limits)


def judge(
    compared: pd.DataFrame,
    chosen: NDArray[np.int64],
    method: Aligned | Hash,
    exact: Copies,
    flat: NDArray[np.bool_],
    known: pd.DataFrame | None = None,
    limits: str = "",
) -> Duplicates:
    """Accept compared pairs (a, b, similarity, kind; rows of `chosen`), and open exact copies out."""
    compared = pd.concat([_best(compared, chosen), known]).sort_values(["a", "b"], ignore_index=True)
    least = method.min_similarity if isinstance(method, Aligned) else 0.0
    accepted = compared["similarity"] >= least
    just = ~accepted & (compared["similarity"] >= least - JUST_REJECTED)
    equal = pd.DataFrame(copy_pairs(exact), columns=["a", "b"]).assign(similarity=1.0, kind="exact")
    pairs = pd.concat([equal, _for_all_copies(compared[accepted], exact)], ignore_index=True)
    pairs = pairs.sort_values(["a", "b"], kind="stable", ignore_index=True)
    groups = group_ids(pairs["a"].to_numpy(), pairs["b"].to_numpy(), len(flat))
    doubt = collapsed(groups, exact.first)
    warning = "; ".join(filter(None, [f"{doubt}: {CAUSES[method.name]}" if doubt else "", limits]))
    return Duplicates(pairs, compared[just].reset_index(drop=True), groups, flat, warning)


def pixel_digests(images: NDArray[np.uint8]) -> NDArray[np.void]:
    """128 bits of each image's pixels (BLAKE2b)."""
    out = np.empty((len(images), 16), np.uint8)
    for i, image in enumerate(images):
        raw = np.ascontiguousarray(image).data
        out[i] = np.frombuffer(hashlib.blake2b(raw, digest_size=16).digest(), np.uint8)
    return out.view(np.dtype((np.void, 16)))[:, 0]


class Search:
    """Compare N images, and what the borders of some enclose; and what is in doubt in the originals.

    Rows are of the images, then of the insides. A subclass may take the costly steps on other machines.
    """

    unseen = 0  # likely pairs that were too many for a second look

    def __init__(
        self, grey: NDArray[np.uint8], fresh: Flags, series: Flags, originals: Originals | None
    ) -> None:
        self.bordered, boxes = without_borders(grey)
        self.detailed = originals.detailed if originals else np.zeros(len(grey), np.bool_)
        self.fresh, self._series = fresh[self.owner], series[self.owner]
        self._originals = originals and originals.and_insides(self.owner, boxes)
        self._shown = np.concatenate([grey, cut(grey[self.bordered], boxes)])

    @cached_property
    def owner(self) -> Rows:
        """The image of each row."""
        return np.concatenate([np.arange(len(self.detailed)), self.bordered])

    def run(self, least: float, mirror: bool) -> pd.DataFrame:
        """a, b, similarity, kind, some pairs several times; those below CLEAR get a second look."""
        tables = []
        for mirrored in (False, True)[: 1 + mirror]:
            candidates, kind = self.candidates(mirrored), "mirror" if mirrored else "near"
            candidates = candidates.only(self._comparable(candidates.pairs))
            pairs, similarity = candidates.pairs, self.similarity(candidates, mirrored)
            if self.detailed.any():
                accepted = similarity >= least
                doubtful = similarity < CLEAR
                again = candidates.only(doubtful)
                motions = again.motions[again.starts]
                seen, closely, wrong = self._look_again(again.pairs, motions, accepted[doubtful], mirrored)
                similarity[np.flatnonzero(doubtful)[wrong]] = 0.0
                tables.append(_table(self.owner[seen], closely, kind))
            tables.append(_table(self.owner[pairs[similarity > 0]], similarity[similarity > 0], kind))
        return pd.concat(tables, ignore_index=True)

    def _look_again(
        self, pairs: Rows, motions: Floats, accepted: Flags, mirrored: bool
    ) -> tuple[Rows, Floats, Rows]:
        """Compare the likeliest in the originals, and what looks alike in a part.

        Return the pairs and their similarities; and which of the accepted ones the originals contradict.
        """
        if not mirrored:
            rows = np.flatnonzero(self.detailed)
            alike = alike_in_parts(self.parts(rows))
            pairs = np.concatenate([pairs, rows[alike]])
            motions = np.concatenate([motions, np.tile(STILL, (len(alike), 1))])
            accepted = np.concatenate([accepted, np.zeros(len(alike), np.bool_)])
        detailed = self.detailed[self.owner[pairs]].all(axis=1)
        seen = np.flatnonzero(detailed & self.fresh[pairs].any(axis=1) & self._comparable(pairs))
        said = self._verified(pairs[seen], motions[seen], mirrored, closer=True)
        likely = likeliest(said[:, 0] * (1 + accepted[seen]))  # what may be contradicted first
        self.unseen += int((said[:, 0] > 0).sum()) - len(likely)
        seen, motions = seen[likely], said[likely, 1:]
        similarity, contradicted = self.compare(pairs[seen], motions, mirrored).T
        return pairs[seen], similarity, seen[accepted[seen] & (contradicted > 0)]

    def limits(self) -> str:
        """What a limit left out of this search, in words."""
        return f"a second look left out {self.unseen:,} pairs beyond {MOST:,}" if self.unseen else ""

    def _comparable(self, pairs: Rows) -> Flags:
        """Which pairs are of two images; of two framed ones, what is inside."""
        a, b = self.owner[pairs].T
        framed = np.isin(self.owner[pairs], self.bordered) & (pairs < len(self.detailed))
        return np.asarray((a != b) & ~framed.all(axis=1))

    def candidates(self, mirrored: bool) -> Candidates:
        """Pairs worth verifying."""
        images = _mirrored(self._shown) if mirrored else None
        return candidate_pairs(self._shown, images, fresh=self.fresh, deep=bool(self.detailed.any()))

    def similarity(self, found: Candidates, mirrored: bool) -> Floats:
        """Similarity of each pair; 0 of most, as half the size already tells."""
        rows, out = self._promising(found, mirrored), np.zeros(len(found.pairs))
        some = found.only(rows)
        out[rows] = self._verified(some.pairs, some.motions[some.starts], mirrored, closer=False)[:, 0]
        return out

    def _promising(self, found: Candidates, mirrored: bool) -> Rows:
        half, alike = halves(self._shown), [np.empty(0, np.int64)]
        others = _mirrored(half) if mirrored else half
        for start in range(0, len(found.pairs), VERIFIED):
            some = found.only(np.arange(start, min(start + VERIFIED, len(found.pairs))))
            chosen = promising(half, others, some.pairs, some.motions[some.starts])
            alike.append(start + np.flatnonzero(chosen))
        return np.concatenate(alike)

    def _verified(self, pairs: Rows, motions: Floats, mirrored: bool, closer: bool) -> Floats:
        said = [np.empty((0, 7 if closer else 1))]
        for start in range(0, len(pairs), VERIFIED):
            block = slice(start, start + VERIFIED)
            rows, ends = np.unique(pairs[block], return_inverse=True)
            prepared = prepare(self._shown, rows)
            others = prepare(_mirrored(self._shown[rows])) if mirrored else prepared
            series = self._series[rows]
            said.append(verify(prepared, others, ends.reshape(-1, 2), motions[block], series, closer))
        return np.concatenate(said)

    def parts(self, rows: Rows) -> NDArray[np.uint64]:
        """Sketches of the parts of images."""
        return part_sketches(self._shown[rows])

    def compare(self, pairs: Rows, motions: Floats, mirrored: bool) -> Floats:
        """What closer.compare says of pairs."""
        assert self._originals
        inside = np.asarray((pairs >= len(self.detailed)).any(axis=1))
        blocks = [slice(start, start + AT_ONCE) for start in range(0, len(pairs), AT_ONCE)]
        scores = [
            compare(self._originals.read, pairs[block], motions[block], inside[block], mirrored)
            for block in tqdm(blocks, desc="looking closer", unit=" blocks", disable=None, leave=False)
        ]
        return np.concatenate([np.empty((0, 2)), *scores])


def _mirrored(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images[:, :, ::-1])


def verify(
    images: Prepared, others: Prepared, pairs: Rows, motions: Floats, series: Flags, closer: bool
) -> Floats:
    """Similarity of P pairs, P x 1; or, to look `closer`, hints and motions, P x 7, see closer.approach."""
    if closer:
        return np.column_stack(approach(images, others, pairs, motions))
    return similarities(images, pairs, motions, others, series)[:, None]


def _table(pairs: NDArray[np.int64], similarity: NDArray[np.float64], kind: str) -> pd.DataFrame:
    return pd.DataFrame({"a": pairs[:, 0], "b": pairs[:, 1], "similarity": similarity, "kind": kind})


def _best(compared: pd.DataFrame, ids: NDArray[np.int64]) -> pd.DataFrame:
    """Rows become ids, a < b; of a symmetric face that matches both ways the better one counts."""
    a, b = ids[compared["a"].to_numpy()], ids[compared["b"].to_numpy()]
    table = compared.assign(a=np.minimum(a, b), b=np.maximum(a, b))
    columns, ascending = ["a", "b", "similarity", "kind"], [True, True, False, False]
    table = table.sort_values(columns, ascending=ascending, ignore_index=True)
    return table.drop_duplicates(["a", "b"], ignore_index=True)


def _for_all_copies(near: pd.DataFrame, copies: Copies) -> pd.DataFrame:
    """Give every exact copy the near-duplicates of its first copy."""
    a, b = copies.which[near["a"].to_numpy(np.int64)], copies.which[near["b"].to_numpy(np.int64)]
    pairs, source = open_out(a, b, copies)
    return near.iloc[source].reset_index(drop=True).assign(a=pairs[:, 0], b=pairs[:, 1])
