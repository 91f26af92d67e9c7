"""Bad and odd pictures, each among good ones in the user's folder."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from candid.data.faces import load_images, read_faces
from tests.data.made import encoded, exif, pixels, zipped
from tests.reliability.corpus import Case

FLAT = np.full((24, 24), 90, np.uint8)
FLAT_PICTURE = Image.fromarray(FLAT)
BESIDE = {f"{label}/{i}.png": encoded(pixels(i, 24, 24)) for i, label in enumerate(["sad", "neutral"] * 2)}


def picture(name: str, data: bytes, *says: str, value: int | None = None, file: str = "odd.png") -> Case:
    """A picture that is rejected with these words or, with `value`, a face of that grey."""
    path = f"happy/{file}"

    def make(project: Path) -> None:
        zipped(project / "data/raw/folder.zip", {**BESIDE, path: data})

    def look(project: Path) -> None:
        table = read_faces(project / "data/faces.csv")
        row = table.index[table["source"] == path][0]
        assert abs(load_images(project / "data/faces.npy")[row].astype(int) - (value or 0)).max() <= 1

    refused = ("can't be read", path, *says) if value is None else ()
    return Case(f"image {name}", make, says=refused, right=look, params={"data": {"max_rejected_share": 0.0}})


def png(*blocks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these blocks."""
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*blocks, (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int, depth: int = 8, color: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)


def png_of(*size: int, rows: bytes = b"\0" * 99) -> bytes:
    """A PNG whose header promises that size (and depth, and colours)."""
    return png(header(*size), (b"IDAT", zlib.compress(rows, 9)))


def with_text_bomb() -> bytes:
    """A PNG whose compressed comment unpacks to 5 MB."""
    comment = b"Comment\0\0" + zlib.compress(b"x" * 5_000_000, 9)
    rows = zlib.compress(b"".join(b"\0" + bytes(row) for row in FLAT))
    return png(header(24, 24), (b"zTXt", comment), (b"IDAT", rows))


def tiff_in_circles() -> bytes:
    """A TIFF whose list of directories leads back to its beginning."""
    data = bytearray(encoded(FLAT, "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)
    return bytes(data)


def jpeg_of_scans(count: int) -> bytes:
    """A JPEG with as many scans more, all of them empty."""
    data = encoded(FLAT, "JPEG", progressive=True)
    return data[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00" * count + b"\xff\xd9"


REJECTED = [
    picture("of 0 bytes", b"", "0 bytes"),
    picture("that is text", b"a smiling face", "no picture in a known format"),
    picture("that is PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture"),
    picture("that is an icon", encoded(FLAT, "ICO"), "no picture"),
    picture(
        "that is HEIC",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500),
        "HEIC, a format that is not read: convert it",
    ),
    picture("that is JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "JPEG XL"),
    picture("that is Photoshop's", b"8BPS\0\1" + bytes(99), "Photoshop"),
    picture("that is a raw photograph", b"\0\0\0\x18ftypcrx \0\0\0\0" + bytes(500), "raw photograph"),
    picture("that is the preview of one", encoded(FLAT_PICTURE, "TIFF", tiffinfo={254: 1}), "preview"),
    picture("of 150 scans", jpeg_of_scans(150), "scans; at most"),
    picture("of 9,000 x 9,000 pixels in 1 kB", png_of(9_000, 9_000), "pixels in"),
    picture(
        "of 6,000 x 6,000 colours of 16 bits", png_of(6_000, 6_000, 16, 2), "6000 x 6000 pixels; at most"
    ),
    picture("of 6,000 x 6,000 pixels with alpha", png_of(6_000, 6_000, 8, 6), "6000 x 6000 pixels; at most"),
    picture("of 100,000 x 100,000 pixels", png_of(100_000, 100_000), "pixels"),
    picture("of 0 x 0 pixels", png_of(0, 0, rows=b""), "picture"),
    picture("with a comment of 5 MB", with_text_bomb(), "damaged picture"),
    picture("with a wrong checksum", encoded(FLAT).replace(b"IDAT", b"IDAU"), "picture"),
    picture("of 32 bits", encoded(Image.new("I", (24, 24), 7), "TIFF"), "pixels of 32 bits"),
    picture("of floats", encoded(Image.new("F", (24, 24), 7.5), "TIFF"), "pixels of 32 bits"),
    picture("with two header blocks", png(header(24, 24), header(9_000, 9_000)), "pixels"),
]
RIGHT = [
    picture("in YCbCr, JPEG", encoded(FLAT_PICTURE.convert("YCbCr"), "JPEG"), value=90),
    picture("all transparent", encoded(np.zeros((24, 24, 4), np.uint8)), value=0),
    picture("turned by EXIF 99", encoded(FLAT, "JPEG", exif=exif(99)), value=90),
    picture("of 3,000 x 3,000 pixels", encoded(np.full((3_000, 3_000), 90, np.uint8)), value=90),
    picture("JPEG named png", encoded(FLAT, "JPEG"), value=90),
    picture("PNG named jpg", encoded(FLAT), value=90, file="odd.jpg"),
    picture("PNG named nothing", encoded(FLAT), value=90, file="odd"),
    picture("PNG named exe", encoded(FLAT), value=90, file="odd.exe"),
    picture("TIFF in circles", tiff_in_circles(), value=90),
    picture("with words behind its end", encoded(FLAT) + b"import os" * 99, value=90),
    picture("progressive JPEG", encoded(FLAT, "JPEG", progressive=True), value=90),
]
CASES = [*REJECTED, *RIGHT]
