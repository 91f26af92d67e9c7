"""Count the corpus of bad inputs: python -m tests.reliability.count"""

from __future__ import annotations

from tests.reliability import (
    corpus_archives,
    corpus_images,
    corpus_models,
    corpus_params,
    corpus_tables,
    test_corpus_models,
)

KINDS = {
    "archives": corpus_archives.CASES,
    "images": corpus_images.CASES,
    "tables": corpus_tables.CASES,
    "settings": corpus_params.CASES,
    "models": corpus_models.CASES,
}
ONLY_KERAS_TELLS = len(test_corpus_models.EVALUATE) + len(test_corpus_models.TRAIN)


def main() -> None:
    """Print a row a kind: how many must give a right result, how many a line."""
    print(f"{'':10} {'cases':>6} {'a right result':>15} {'one line':>9}")
    rows = []
    for kind, cases in KINDS.items():
        refused = sum(bool(case.says) for case in cases) + (ONLY_KERAS_TELLS if kind == "models" else 0)
        rows.append((kind, sum(not case.says for case in cases), refused))
    rows.append(("in all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    for kind, right, refused in rows:
        print(f"{kind:10} {right + refused:6} {right:15} {refused:9}")


if __name__ == "__main__":
    main()
