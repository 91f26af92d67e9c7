"""What the code itself rules out: draws without a seed, and loading in which data can name code to run."""

from __future__ import annotations

import re

import pytest

from tests.reliability.tiny import ROOT

REFUSED = re.compile(
    r"default_rng\(\)|np\.random\.(?!default_rng\(|Generator\b|SeedSequence\(\w|PCG64\(\w|RandomState\(\d)"
    r"|\b(tf|torch)\.random|\buuid4|\burandom\b"
    r"|\bimport (random|secrets|pickle|marshal|shelve|joblib|dill)\b|\bfrom (random|pickle|marshal) import"
    r"|allow_pickle=True|safe_mode=False|shell=True|os\.system|(?<![\w.])(eval|exec|__import__)\("
    r"|unsafe_load|yaml\.(full_)?load\((?!text, _Loader\))"  # settings._Loader derives from SafeLoader
)


def test_no_draw_is_without_a_seed_and_no_data_is_run() -> None:
    files = [path for folder in ("candid", "stages") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 50
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not REFUSED.search(line), f"{path}:{number}: {line}"


@pytest.mark.parametrize(
    "line",
    [
        "np.random.default_rng()",
        "np.random.shuffle(x)",
        "tf.random.normal((3,))",
        "keras.saving.load_model(path, safe_mode=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "subprocess.run(words, shell=True)",
        "eval(text)",
        "import pickle",
    ],
)
def test_it_would_be_seen(line: str) -> None:
    assert REFUSED.search(line)
