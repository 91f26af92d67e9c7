"""Bad params.yaml files: single values, and files that are no plain YAML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.reliability.corpus import Case, as_folder

FILE = "params.yaml"
LAUGHS = "\n".join(["lol: &l0 [x, x, x, x, x, x, x, x, x]"] + [
    f"lol{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 10)
])  # fmt: skip

MERGES = "m0: &m0 {x: 1}\n" + "".join(
    f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}\n" for i in range(1, 10)
)


def value(stage: str, key: str, given: Any, *says: str) -> Case:
    """One key with another value: the line names the file and the key."""
    section, _, name = key.partition(".")
    shown = str(given) if len(str(given)) < 60 else f"{str(given)[:57]}..."
    return Case(
        f"{key} = {shown!r}",
        lambda project: None,
        (stage,),
        (FILE, key, *says),
        params={section: {name: given}},
        start=stage != "download",
    )


def text(name: str, change: Callable[[str], str | bytes], *says: str) -> Case:
    """The whole file changed, before split; it goes well where nothing is said."""

    def make(project: Path) -> None:
        content = change((project / FILE).read_text(encoding="utf-8"))
        (project / FILE).write_bytes(content.encode() if isinstance(content, str) else content)

    return Case(f"params.yaml {name}", make, ("split",), (FILE, *says) if says else (), start=True)


def swap(old: str, new: str) -> Callable[[str], str]:
    """Replace a piece of the file that must be there."""

    def change(content: str) -> str:
        assert old in content, old
        return content.replace(old, new, 1)

    return change


def in_split(line: str) -> Callable[[str], str]:
    """Put a line into section split."""
    return swap("split:\n", f"split:\n  {line}\n")


def seed(value: str) -> Callable[[str], str]:
    """Give split.seed as it is written here."""

    def change(content: str) -> str:
        head, _, tail = content.partition("split:\n")
        section, _, rest = tail.partition("  seed: 0\n")
        return f"{head}split:\n{section}  seed: {value}\n{rest}"

    return change


VALUES = [
    value("download", "data.dataset", "fer2031", "'fer2031'", "fer2013"),
    value("download", "data.dataset", "s\u0430mple", "sample"),  # a Cyrillic a
    value("download", "data.dataset", None, "string"),
    value("download", "data.image_size", "48", "'48'", "integer"),
    value("download", "data.image_size", 10**9, "less than or equal to 1024"),
    value("download", "data.color", "gray", "'gray'", "'grey' or 'rgb'"),
    value("download", "data.max_rejected_share", float("nan"), "nan", "finite"),
    value("download", "data.parts", [], "at least 1"),
    value("download", "data.classes", {"happy": 1}, "list"),
    value("download", "data.path", None, "expected a folder, zip or tar"),
    value("download", "data.path", 3),
    value("download", "data.altered", "ignore", "'ignore'", "'warn' or 'stop'"),
    value("download", "data.subject_pattern", "S.*_", "0 groups; expected one"),
    value("download", "data.subject_pattern", "(", "'('", "unterminated"),
    value("download", "data.classes", "x" * 1_000_000, "list"),
    value("dedup", "dedup.method", "hash\u200b", "'hash"),  # a space of no width
    value("dedup", "dedup.method", "phash", "dedup.method.name = 'phash': expected one of aligned, hash"),
    value("dedup", "dedup.method", {"name": "hash", "hash": "whash"}, "dedup.method.hash = 'whash'"),
    value("dedup", "dedup.method", {"name": "hash", "hash": "wavelet", "hash_size": 12}, "a power of 2"),
    value("dedup", "dedup.method", {"name": "hash", "max_distance_bits": 32}, "= 32: expected below 32"),
    value("dedup", "dedup.method", {"name": "hash", "max_distance_bits": -1}, "-1"),
    value("dedup", "dedup.method", {"name": "hash", "min_similarity": 0.9}, "no effect with hash"),
    value("dedup", "dedup.mirror", "yes", "'yes'", "boolean"),
    value("split", "split.protocol", "halves", "'random', 'official' or 'folds'"),
    value(
        "split",
        "split.official",
        {"train": ["train"], "validation": [], "test": ["train"]},
        "both have train",
    ),
    value("split", "split.ratios", [0.9, 0.05, 0.1], "sum to 1", "1.05"),
    value("split", "split.ratios", [1.0, 0.0, 0.0], "split.ratios.0"),
    value("split", "split.seed", 2**80, "split.seed"),
    value("split", "split.sede", 1, "unknown key split.sede", "seed"),
    value("split", "split.fold", 10, "0 to 9"),
    value("class_weights", "class_weights.scheme", "b\u0430lanced", "'balanced'"),
    value("train", "model.arch", "resnet_18", "'resnet_18': expected one of residual_cnn"),
    value("train", "train.learning_rate", 0, "greater than 0"),
    value("train", "train.epochs", 10**12, "less than or equal to 100000"),
    value("train", "train.optimizer", "os.system", "'os.system'", "sgd, adam, nadam, adamw"),
    value("train", "train.augment", {"flip": 0.5}, "missing"),
    value("download", "evaluate.tta", "flipp", "'flipp'"),  # a section that a later stage reads
]
FILES = [
    text("of 0 bytes", lambda _: "", "no section 'split'"),
    text("that is a list", lambda _: "- 1\n- 2\n", "no section 'split'"),
    text("without the section", swap("split:\n", "splits:\n"), "no section 'split'"),
    text("with the section named alike", swap("split:\n", "spl\u0456t:\n"), "no section 'split'"),
    text("with an empty section", lambda _: "split:\n", "split"),
    text("without a key", swap("  protocol: random\n", ""), "split.protocol is missing"),
    text("with a key twice", in_split("fold: 0"), "not YAML", "fold"),
    text("with a key that is a number", in_split("7: 1"), "split"),
    text("with a key that is a list", in_split("? [a, b]\n  : 1"), "split"),
    text("with a date", seed("2001-01-01"), "split.seed"),
    text("with an octal number", seed("0o17")),
    text("with a hexadecimal number", seed("0x1F")),
    text("with a number of 5,000 digits", seed("9" * 5000), "params.yaml"),
    text("with 1e400", seed("1e400"), "split.seed"),
    text("with 1_000", seed("1_000")),
    text("with a null", seed("~"), "split.seed"),
    text("with a tag of Python", seed("!!python/object/apply:os.system ['touch harm']"), "not YAML"),
    text("with an unknown tag", seed("!secret 1"), "not YAML"),
    text("with an anchor", lambda old: seed("*one")("one: &one 1\n" + old)),
    text(
        "with an anchor twice",
        lambda old: seed("*one")("one: &one 1\nnext: &one 2\n" + old),
        *("not YAML", "duplicate anchor"),
    ),
    text("with an anchor that is missing", seed("*nowhere"), "not YAML", "nowhere"),
    text("with a merge key", lambda old: in_split("<<: {repeat: 0}")(old.replace("  repeat: 0\n", "", 1))),
    text("with a billion laughs", lambda old: seed("*l9")(LAUGHS + "\n" + old), "split.seed"),
    text("with merge keys that multiply", lambda old: MERGES + old, "not YAML", "merged keys"),
    text("with a list that holds itself", seed("&a [*a]"), "split.seed"),
    text("with a section that holds itself", lambda _: "split: &a {ratios: *a, protocol: *a}\n", "split"),
    text("with tabs", swap("  protocol", "\tprotocol"), "not YAML"),
    text("with an open bracket", lambda old: old + "x: [1, 2\n", "not YAML"),
    text("of two documents", lambda old: old + "---\n" + old, "not YAML"),
    text("with a zero byte", lambda old: old + "x: \0\n", "not YAML"),
    text("in UTF-16", lambda old: old.encode("utf-16"), "not YAML"),
    text("in Latin-1", lambda old: old.encode() + b"# \xe9\n", "not YAML"),
    text("with a byte-order mark", lambda old: "\ufeff" + old),
    text("with CRLF", lambda old: old.replace("\n", "\r\n")),
    text("nested 3,000 deep", lambda old: old + "x: " + "[" * 3_000 + "]" * 3_000, "not YAML"),
    Case("params.yaml missing", lambda project: (project / FILE).unlink(), ("split",), (FILE,), start=True),
    Case("params.yaml, a folder", lambda project: as_folder(project / FILE), ("split",), (FILE,), start=True),
]
LONG_PATH = Case(
    "data.path of 100,000 letters",
    *(lambda project: None, ("download",), ("data.path = 'xxx", "no such file or folder")),
    params={"data": {"path": "x" * 100_000}},
)
PATTERN = Case(
    "data.subject_pattern of a published set",
    *(lambda project: None, ("download",), (FILE, "subject_pattern is for dataset: folder; ck48")),
    params={"data": {"dataset": "ck48", "subject_pattern": "(S.*)_"}},
)
CASES = [*VALUES, *FILES, LONG_PATH, PATTERN]
