"""Look for secrets in every file of the repository and in its history: python -m tools.secrets

What is looked for: tokens by the shape that their makers give them, private keys, passwords in addresses, and
whatever this shell's environment holds in a variable with TOKEN, KEY, SECRET or PASSWORD in its name. A
finding names the place and the kind, never the secret.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from stages.errors import CandidError, run

KINDS = {
    "a Kaggle token": r"\bKGAT_[0-9A-Za-z_-]{16,}",
    "a Kaggle key": r"[\"']key[\"']\s*:\s*[\"'][0-9a-f]{32}[\"']",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\bgh[oprsu]_[0-9A-Za-z]{36,}\b|\bgithub_pat_[0-9A-Za-z_]{22,}",
    "a GitLab token": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Hugging Face token": r"\bhf_[0-9A-Za-z]{30,}\b",
    "a PyPI token": r"\bpypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{50,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a Slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    "a JSON Web Token": r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]{1,10}://[^\s/:@'\"<>{}$]+:[^\s/:@'\"<>{}$]{3,}@",
}
NAMES = re.compile(r"TOKEN|KEY|SECRET|PASSWORD", re.IGNORECASE)
SHORTEST = 12
"""Values of the environment with fewer characters are words, not secrets."""


def main() -> int:
    """Print the findings; status 1 where there are any."""
    files = _ask("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    present = [Path(name) for name in files if name and Path(name).is_file()]
    kinds = patterns(os.environ)
    found = [line for file in present for line in in_text(str(file), _text(file), kinds)]
    history = _ask(
        "git", "log", "--all", "--no-color", "--no-textconv", "--unified=0", "--format=commit %H", "-p"
    )
    found += in_history(history.splitlines(), kinds)
    commits = _ask("git", "rev-list", "--all", "--count").strip()
    print(*found, f"{len(present):,} files and {commits} commits: {len(found) or 'no'} secrets", sep="\n")
    return 1 if found else 0


def patterns(environment: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """What to look for: KINDS, and the secrets of this environment as they are."""
    own = {
        f"the value of ${name}": re.escape(value)
        for name, value in environment.items()
        if NAMES.search(name) and len(value) >= SHORTEST and not Path(value).exists()
    }
    return {kind: re.compile(pattern) for kind, pattern in {**KINDS, **own}.items()}


def in_text(where: str, text: str, kinds: Mapping[str, re.Pattern[str]]) -> Iterator[str]:
    """One line for each finding: file:line: kind."""
    for kind, pattern in kinds.items():
        for match in pattern.finditer(text):
            yield f"{where}:{text.count(chr(10), 0, match.start()) + 1}: {kind}"


def in_history(lines: Iterable[str], kinds: Mapping[str, re.Pattern[str]]) -> Iterator[str]:
    """One line for each finding in what commits added: commit: kind."""
    commit = ""
    for line in lines:
        if line.startswith("commit "):
            commit = line.split()[1][:10]
        elif line.startswith("+") and not line.startswith("+++"):
            yield from (f"commit {commit}: {kind}" for kind, pattern in kinds.items() if pattern.search(line))


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")


def _ask(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise CandidError(f"`{' '.join(command[:2])}` fails: expected to be run in a git repository")
    return done.stdout.decode("utf-8", "replace")


if __name__ == "__main__":
    run("secrets", main, hint="")
