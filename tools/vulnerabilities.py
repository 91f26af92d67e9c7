"""Hold pinned dependencies against known vulnerabilities: python -m tools.vulnerabilities [FILE]

Asks PyPI or OSV (both have the Python Packaging Advisory Database) through pip-audit, which `make audit`
installs; it is no dependency of Candid. FILE lists the packages as name==version, by default constraints.txt.
A package that can't be looked up is a failure: "none known" is said only when all were.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from stages.errors import CandidError, run

SECONDS = 15
"""A request that takes longer has failed."""


def main() -> int:
    """Ask and tell; status 1 where something is vulnerable."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.vulnerabilities", description=(__doc__ or "").partition("\n")[2]
    )
    parser.add_argument("file", nargs="?", type=Path, default=Path("constraints.txt"))
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="ID", help="an advisory to leave out"
    )
    parser.add_argument(
        "--service", choices=("pypi", "osv"), default="pypi", help="where to ask; default: pypi"
    )
    options = parser.parse_args()
    if not options.file.is_file():
        raise CandidError(f"{options.file}: no such file; expected a list of name==version")
    found = advisories(ask(options.file, options.service, options.ignore))
    lines = [f"{name} {version}: {told}" for name, version, told in found.vulnerable]
    print(*lines, f"{found.looked_up} packages: {len(lines) or 'no'} known vulnerabilities", sep="\n")
    return 1 if lines else 0


class Answer:
    """What pip-audit found."""

    def __init__(self) -> None:
        self.looked_up = 0
        self.vulnerable: list[tuple[str, str, str]] = []
        """Name, version, and the advisory with the versions that mend it."""


def ask(file: Path, service: str, ignored: list[str]) -> str:
    """Run pip-audit; its JSON.

    Raises:
        CandidError: it is not installed, or the service can't be reached: then nothing was checked.
    """
    if importlib.util.find_spec("pip_audit") is None:
        raise CandidError("pip-audit is not installed, so nothing was checked: expected `make audit`")
    leave_out = [word for name in ignored for word in ("--ignore-vuln", name)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(file), "--disable-pip", "--no-deps"),
            *("--vulnerability-service", service),
            *("--format", "json", "--progress-spinner", "off", "--timeout", str(SECONDS), *leave_out),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.lstrip().startswith("{"):
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        reason = said[-1].removeprefix("ERROR:pip_audit._cli:") if said else f"status {done.returncode}"
        raise CandidError(f"the vulnerability service can't be asked, so nothing was checked: {reason[:300]}")
    return done.stdout


def advisories(answer: str) -> Answer:
    """Read pip-audit's JSON; CandidError where a package was passed over."""
    found = Answer()
    packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    passed = [package["name"] for package in packages if "skip_reason" in package]
    if passed or not packages:
        names = ", ".join(passed[:5]) + (", ..." if len(passed) > 5 else "")
        raise CandidError(
            f"{len(passed)} of {len(packages)} packages can't be looked up ({names}): expected all of them"
        )
    found.looked_up = len(packages)
    for package in packages:
        for each in package["vulns"]:
            mended = ", ".join(each["fix_versions"]) or "no version"
            found.vulnerable.append(
                (package["name"], package["version"], f"{each['id']}, mended in {mended}")
            )
    return found


if __name__ == "__main__":
    run("vulnerabilities", main, hint="")
