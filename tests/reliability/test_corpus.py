"""Whatever is fed in gives a right result or one clear line; nothing is run, lost, or written elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability import corpus_archives, corpus_images, corpus_models, corpus_params, corpus_tables
from tests.reliability.corpus import Case, try_case
from tests.reliability.forked import Forked
from tests.reliability.tiny import Undisturbed

CASES: list[Case] = [
    *corpus_archives.CASES,
    *corpus_images.CASES,
    *corpus_tables.CASES,
    *corpus_params.CASES,
    *corpus_models.CASES,
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    stages = ("download", "ingest", "dedup", "split", "class_weights")
    return Undisturbed.make(tmp_path_factory.mktemp("undisturbed"), stages)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_ends_well_or_in_one_line(
    case: Case, forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    try_case(case, forked, undisturbed, tmp_path / "around")


def test_the_corpus_is_large_and_names_each_case_once() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 120
