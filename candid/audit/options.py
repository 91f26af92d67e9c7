"""The command line of the audit; its search options are those of section `dedup` of params.yaml."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple, get_args

from candid.duplicates.params import DedupSettings, HashName
from candid.settings import check


class Options(NamedTuple):
    """What the user asked for."""

    path: Path
    out: Path
    pairs: int
    labels: bool
    search: DedupSettings


def read_options(arguments: list[str] | None = None) -> Options:
    """Parse the command line; an impossible value of a search option is a CandidError."""
    default = DedupSettings.model_construct()
    parser = argparse.ArgumentParser(
        prog="candid audit",
        description="Find exact copies, near-duplicates and conflicting labels in any set of images.",
        epilog="The report shows pictures from the set: treat it with the same care as the set itself.",
    )
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="folder, zip or tar, one folder a class or none"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("audit"), help="folder of the report; default: audit"
    )
    parser.add_argument("--pairs", type=int, default=20, help="shown of each band of similarity; default: 20")
    parser.add_argument("--no-labels", dest="labels", action="store_false", help="folders are not classes")
    search = parser.add_argument_group("search", "the settings of section dedup in params.yaml")

    def option(name: str, kind: type, text: str) -> None:
        least = getattr(default, name)
        search.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"{text}; default: {least}")

    option("min_similarity", float, "accept from here on, 0.5 to 1")
    option("hash", str, f"one of {', '.join(get_args(HashName))}")
    option("hash_size", int, "the hash has this, squared, bits")
    option("max_distance_bits", int, "hashes this near are candidates")
    option("max_group_share", float, "warn when one group holds more of the set")
    search.add_argument("--mirror", action="store_true", default=None, help="also find mirrored copies")
    search.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        default=None,
        help="take the hash's word: less sure",
    )
    given = vars(parser.parse_args(arguments))
    if given["pairs"] < 1:
        parser.error("--pairs: expected 1 or more")
    known = DedupSettings.model_fields
    asked = {name: value for name, value in given.items() if name in known and value is not None}
    settings = check("dedup", DedupSettings, asked, "options")
    return Options(given["path"], given["out"], given["pairs"], given["labels"], settings)


def threshold(settings: DedupSettings) -> float:
    """Least similarity that is accepted: of the verification, or else of the hashes."""
    if settings.verify:
        return settings.min_similarity
    return round(1 - settings.max_distance_bits / settings.hash_size**2, 4)


def in_words(settings: DedupSettings) -> str:
    """The search in a few words, for the report's head."""
    return ", ".join(
        [
            f"{settings.hash} of {settings.hash_size**2} bits",
            f"candidates within {settings.max_distance_bits}",
            f"verified, similarity {settings.min_similarity:g} or more"
            if settings.verify
            else "not verified",
            "mirrored copies too" if settings.mirror else "no mirrored copies",
        ]
    )
