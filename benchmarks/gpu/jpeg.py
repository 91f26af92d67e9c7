"""The quantised coefficients of grey baseline JPEG files (ITU-T T.81)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

SOF0, DHT, SOS, DQT, DRI = 0xC0, 0xC4, 0xDA, 0xDB, 0xDD
ZIGZAG = sorted(range(64), key=lambda p: (p // 8 + p % 8, p // 8 if (p // 8 + p % 8) % 2 else p % 8))
"""Place (8 row + column) of the coefficients in the order of the file."""


class Header(NamedTuple):
    """What stands before the coded data."""

    height: int
    width: int
    steps: tuple[int, ...]
    """Of the quantisation: 64, row by row."""
    tables: tuple[bytes, bytes]
    """Huffman tables for DC and AC as in the file: 16 counts, then the symbols."""
    start: int
    """First byte of the coded data."""


def read_header(data: bytes) -> Header | None:
    """Read a grey baseline file without restarts, of whole blocks; None for anything else."""
    if data[:2] != b"\xff\xd8":
        return None
    place, size, which = 2, None, 0
    steps: dict[int, bytes] = {}
    tables: dict[int, bytes] = {}
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        if marker == DQT and len(body) == 65 and body[0] >> 4 == 0:
            steps[body[0]] = body[1:]
        elif marker == SOF0:
            size = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big"), body[5], body[0]
            which = body[8]
        elif marker == DHT:
            while body:
                count = 17 + sum(body[1:17])
                tables[body[0]], body = body[1:count], body[count:]
        elif marker == SOS:
            if size is None or size[2:] != (1, 8) or size[0] % 8 or size[1] % 8 or which not in steps:
                return None
            dc, ac = tables.get(body[2] >> 4), tables.get(16 | body[2] & 15)
            if dc is None or ac is None:
                return None
            natural = [0] * 64
            for step, natural_place in zip(steps[which], ZIGZAG, strict=True):
                natural[natural_place] = step
            return Header(size[0], size[1], tuple(natural), (dc, ac), place + 2 + length)
        elif marker in (DRI, DQT) or 0xC1 <= marker <= 0xCF:
            return None
        place += 2 + length
    return None


def coefficients(files: list[bytes], header: Header) -> NDArray[np.int16]:
    """Decode files that have this header up to its place: N x blocks x 64, row by row, DC made absolute."""
    data = np.frombuffer(b"".join(data[header.start :] for data in files) + bytes(8), np.uint8)
    lengths = np.array([len(data) - header.start for data in files])
    starts = np.cumsum(lengths) - lengths
    blocks = header.height * header.width // 64
    found = np.zeros((len(files), blocks, 64), np.int16)
    dc, ac = (_lookup(table) for table in header.tables)
    _decode(data, starts, dc, ac, np.array(ZIGZAG), found)
    return found


def _lookup(table: bytes) -> NDArray[np.uint16]:
    """For every 16 bits that can come: length of the code they begin with << 8 | its symbol; 0: none."""
    found = np.zeros(1 << 16, np.uint16)
    code, symbol = 0, 16
    for length in range(1, 17):
        for _ in range(table[length - 1]):
            first = code << (16 - length)
            found[first : first + (1 << (16 - length))] = length << 8 | table[symbol]
            code, symbol = code + 1, symbol + 1
        code <<= 1
    return found


@njit(cache=False)
def _decode(data, starts, dc, ac, zigzag, found):
    for one in range(len(starts)):
        place, held, count, level = starts[one], 0, 0, 0
        for block in range(found.shape[1]):
            k = 0
            while k < 64:
                while count <= 24:
                    byte = data[place]
                    place += 1
                    if byte == 0xFF and place < len(data) and data[place] == 0:
                        place += 1
                    held = (held << 8 | byte) & 0xFFFFFFFF
                    count += 8
                entry = (dc if k == 0 else ac)[held >> (count - 16) & 0xFFFF]
                count -= entry >> 8
                size = entry & 15
                while count <= 24:
                    byte = data[place]
                    place += 1
                    if byte == 0xFF and place < len(data) and data[place] == 0:
                        place += 1
                    held = (held << 8 | byte) & 0xFFFFFFFF
                    count += 8
                count -= size
                value = held >> count & ((1 << size) - 1)
                if size and value < 1 << (size - 1):
                    value -= (1 << size) - 1
                if k == 0:
                    level += value
                    found[one, block, 0] = level
                    k = 1
                    continue
                run = (entry & 255) >> 4
                if size == 0 and run < 15:
                    break
                k += run
                if k > 63:
                    break
                found[one, block, zigzag[k]] = value
                k += 1
