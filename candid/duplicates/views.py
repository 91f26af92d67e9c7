"""What the search compares: a working size, thumbnails of shifted and scaled crops, and sketches of these.

All of it is integer arithmetic (the few square roots and quotients are plain IEEE 754), so that it is the
same on every machine.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.linalg import hadamard

from candid.duplicates.kernels import in_parallel, kernel

BLOCK = 1024  # images at a time
SIZE = 48  # pixels, height and width, at which images are compared
THUMB = 10
LENGTH = 4000  # of a feature vector: LENGTH squared and sums of such products stay below 2^31
EVEN = 10  # grey levels between the lightest and the darkest pixel of an even border
MAX_BORDER = 16  # pixels
FLAT_DEVIATION = 4  # grey levels; a standard deviation below this carries no picture to compare
CENTRE = 36.0  # pixels, width of the crop that is searched for
ZOOMED, CLOSER, SQUEEZED = 31.0, 26.0, 29.0  # widths of the narrower crops that are searched
SHIFTS = (-6.0, -3.0, 0.0, 3.0, 6.0)
DEEP_SHIFTS = (-5.25, -1.75, 1.75, 5.25)
WIDE_SHIFTS = (-7.0, -3.5, 0.0, 3.5, 7.0)
FEW = 16  # rows of a matrix product
SKETCH_BITS = 128  # two words, as the loops of candidates.py have them
FREQUENCIES = 5.0  # half periods a crop; finer structure moves too much between neighbouring views


class View(NamedTuple):
    """A crop: its centre's offset from the image's centre and its sides, in pixels of SIZE."""

    dx: float
    dy: float
    width: float
    height: float


class Thumbnails(NamedTuple):
    """One crop of every image."""

    features: NDArray[np.int16]  # N x THUMB^2, mean 0, LENGTH long: products are correlations x LENGTH^2
    sketches: NDArray[np.uint64]  # SKETCH_BITS / 64 words x N: signs of projections, alike for like crops
    details: NDArray[np.uint64]  # as many: which of two neighbouring cells is the lighter one

    def rows(self, chosen: Any) -> Thumbnails:
        """Those of some images."""
        words = (np.ascontiguousarray(each[:, chosen]) for each in (self.sketches, self.details))
        return Thumbnails(self.features[chosen], *words)


CENTRE_VIEW = View(0.0, 0.0, CENTRE, CENTRE)


def search_views(mirrored: bool = False, deep: bool = False) -> list[View]:
    """Crops that are searched for the centre crop of another image, the centre crop itself first.

    `deep`: also of a little more than half the width, anywhere: what they find is blurred at SIZE pixels, so
    that it takes the originals to be sure of it.

    Wider crops are left out, as the other image's narrower ones are the same question; and of two inverse
    shifts at equal width one is enough, as all ordered pairs are compared. Of a mirrored image the inverse
    of (dx, dy) is (dx, -dy), so that both horizontal shifts are needed.
    """
    shifts = [(dx, dy) for dy in SHIFTS for dx in SHIFTS]
    halved = [(dx, dy) for dx, dy in shifts if (dy, abs(dx) if mirrored else dx) > (0.0, 0.0)]
    equal = [View(dx, dy, CENTRE, CENTRE) for dx, dy in halved]
    zoomed = [View(dx, dy, ZOOMED, ZOOMED) for dx, dy in shifts]
    closer = View(0.0, 0.0, CLOSER, CLOSER)
    narrow = [View(shift, 0.0, SQUEEZED, CENTRE) for shift in WIDE_SHIFTS]
    low = [View(0.0, shift, CENTRE, SQUEEZED) for shift in WIDE_SHIFTS]
    deepest = [View(dx, dy, CLOSER, CLOSER) for dy in DEEP_SHIFTS for dx in DEEP_SHIFTS if deep]
    return [CENTRE_VIEW, *equal, *zoomed, closer, *narrow, *low, *deepest]


def working_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Any uint8 N x H x W (x 3) -> grey N x SIZE x SIZE."""
    if images.ndim == 3 and images.shape[1:] == (SIZE, SIZE):
        return np.ascontiguousarray(images)
    out = np.empty((len(images), SIZE, SIZE), np.uint8)
    for row, image in enumerate(images):
        grey = Image.fromarray(np.ascontiguousarray(image)).convert("L")
        out[row] = np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BOX))
    return out


def without_borders(grey: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What even borders (frames, letterboxes, margins) enclose: rows of the bordered images, and boxes.

    Boxes are left, top, right, bottom, in pixels of SIZE.
    """
    boxes = _insides(grey)
    rows = np.flatnonzero((boxes != (0, 0, SIZE, SIZE)).any(axis=1))
    return rows, boxes[rows]


def cut(grey: NDArray[np.uint8], boxes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """What boxes, of `without_borders`, hold of N x S x S images, stretched to S x S."""
    side = grey.shape[1]
    out = np.empty_like(grey)
    for n, box in enumerate((boxes * side / SIZE).tolist()):
        image = Image.fromarray(grey[n])
        out[n] = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, tuple(box)))
    return out


def low_contrast(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which images have too little contrast to compare: a standard deviation below FLAT_DEVIATION."""
    pixels = grey.shape[1] * grey.shape[2]
    squares = np.einsum("nij,nij->n", grey, grey, dtype=np.int64)
    flat = pixels * squares - grey.sum(axis=(1, 2), dtype=np.int64) ** 2 < (FLAT_DEVIATION * pixels) ** 2
    return np.asarray(flat)


def thumbnails(grey: NDArray[np.uint8], view: View) -> Thumbnails:
    """Reduce one crop of every image of N x SIZE x SIZE to THUMB x THUMB cells."""
    across, down = _weights(view.dx, view.width), _weights(view.dy, view.height)
    projection, neighbours = _projection(), _neighbours()

    def block(start: int, stop: int) -> tuple[Any, Any, Any]:
        features = _features(grey[start:stop], across, down)
        return features, _sketches(features, projection), _details(features, neighbours)

    features, *words = zip(*(in_parallel(block, len(grey), BLOCK) or [block(0, 0)]), strict=True)
    return Thumbnails(np.concatenate(features), *(np.concatenate(each, axis=1) for each in words))


def _weights(offset: float, width: float) -> NDArray[np.int32]:
    """THUMB x SIZE: share of each pixel in each cell of the crop, in 64ths of a pixel."""
    edges = (SIZE + 2 * offset - width) / 2 + np.arange(THUMB + 1) * width / THUMB
    pixel = np.arange(SIZE)
    share = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.rint(64 * np.clip(share, 0, 1)), np.int32)


def _projection() -> NDArray[np.float32]:
    """THUMB^2 x SKETCH_BITS whole numbers: the low frequencies of a cosine transform, mixed.

    Pictures have an amplitude of about 1 / frequency; weighting by the root of the frequency goes half of
    the way to equal shares, which separates best. Rows of a Hadamard matrix with random signs mix them, so
    that every bit says as much as any other.
    """
    k = np.arange(THUMB)
    cosine = np.cos(np.pi * (2 * k + 1) * k[:, None] / (2 * THUMB))
    waves = np.asarray(np.kron(cosine, cosine), np.float64)
    waves = waves / np.sqrt((waves**2).sum(axis=1, keepdims=True))
    frequency = np.hypot(*np.divmod(np.arange(THUMB**2), THUMB))
    low = (frequency > 0) & (frequency <= FREQUENCIES)
    order = 2 ** int(np.ceil(np.log2(low.sum())))
    random = np.random.RandomState(0)  # its stream is frozen for good
    mixers = [
        (hadamard(order) * random.choice([-1, 1], order))[:, : low.sum()] for _ in range(SKETCH_BITS // order)
    ]
    mixed = np.concatenate(mixers) @ (waves[low] * np.sqrt(frequency[low])[:, None])
    mixed *= LENGTH / np.sqrt((mixed**2).sum(axis=1, keepdims=True))
    return np.ascontiguousarray(np.rint(mixed).T, np.float32)


def _neighbours() -> NDArray[np.int64]:
    """SKETCH_BITS x 2: cells side by side or one above the other, drawn from all of them."""
    cells = np.arange(THUMB**2).reshape(THUMB, THUMB)
    beside = np.stack([cells[:, :-1].ravel(), cells[:, 1:].ravel()], axis=1)
    below = np.stack([cells[:-1].ravel(), cells[1:].ravel()], axis=1)
    all_of_them = np.concatenate([beside, below])
    return all_of_them[np.random.RandomState(0).permutation(len(all_of_them))[:SKETCH_BITS]]


@kernel
def _features(grey: Any, across: Any, down: Any) -> Any:
    count, size = grey.shape[0], grey.shape[1]
    cells = across.shape[0]
    out = np.empty((count, cells * cells), np.int16)
    first, last = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    for c in range(cells):
        used = np.flatnonzero(across[c])
        first[c], last[c] = used[0], used[-1] + 1
    row, thumb = np.empty(size, np.int32), np.empty(cells * cells, np.int32)
    for n in range(count):
        total = np.int32(0)
        for k in range(cells):
            row[:] = 0
            for y in range(size):
                weight = down[k, y]
                if weight:
                    for x in range(size):
                        row[x] += weight * np.int32(grey[n, y, x])
            for c in range(cells):
                cell = np.int32(0)
                for x in range(first[c], last[c]):
                    cell += across[c, x] * row[x]
                thumb[k * cells + c] = cell >> 6
                total += cell >> 6
        squares = np.int64(0)
        for c in range(cells * cells):
            thumb[c] = thumb[c] * (cells * cells) - total
            squares += np.int64(thumb[c]) * np.int64(thumb[c])
        factor = LENGTH / np.sqrt(max(float(squares), 1.0))
        for c in range(cells * cells):
            out[n, c] = np.rint(thumb[c] * factor)
    return out


def _sketches(features: NDArray[np.int16], projection: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Signs of the projections, packed: words x N.

    Whole numbers that float32 holds: a sum is at most LENGTH^2 < 2^24, whatever its order. So few rows at a
    time that BLAS adds no threads to ours.
    """
    rows = np.zeros((-(-len(features) // FEW), FEW, features.shape[1]), np.float32)
    rows.reshape(-1, features.shape[1])[: len(features)] = features
    signs = (rows @ projection).reshape(-1, SKETCH_BITS)[: len(features)] > 0
    words = np.packbits(signs, axis=1, bitorder="little").view("<u8")
    return np.ascontiguousarray(words.T, np.uint64)


@kernel
def _details(features: Any, neighbours: Any) -> Any:
    """Which of two cells is the lighter one, packed: words x N."""
    count, bits = len(features), len(neighbours)
    out = np.zeros((bits // 64, count), np.uint64)
    for n in range(count):
        for bit in range(bits):
            lighter = features[n, neighbours[bit, 0]] > features[n, neighbours[bit, 1]]
            out[bit >> 6, n] |= np.uint64(lighter) << np.uint64(bit & 63)
    return out


@kernel
def _insides(grey: Any) -> Any:
    """Left, top, right, bottom of what even borders enclose; the whole image where they leave too little."""
    count, size = grey.shape[0], grey.shape[1]
    out = np.empty((count, 4), np.int64)
    for n in range(count):
        for side in range(4):  # left, top, right, bottom
            lines = grey[n].T if side % 2 == 0 else grey[n]
            lines = lines if side < 2 else lines[::-1]
            border, low, high = 0, 255, 0
            for k in range(MAX_BORDER + 1):
                low, high = min(low, lines[k].min()), max(high, lines[k].max())
                if high - low > EVEN:
                    break
                border = k + 1
            if border > MAX_BORDER:
                border = 0  # no border but half of a picture
            elif border:
                border += 1  # this line is mixed of the border and the picture
            out[n, side] = border if side < 2 else size - border
        if out[n, 2] - out[n, 0] < size // 2 or out[n, 3] - out[n, 1] < size // 2:
            out[n] = np.array([0, 0, size, size])
    return out
