"""Fuzz the readers and the settings for a while: PYTHONPATH=. python benchmarks/fuzz.py --minutes 10

The laws of tests/reliability/fuzz.py in turn, with new random cases each time; a failing case is shrunk and
printed with its traceback. CI runs the same laws with a fixed set of cases.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback

from hypothesis import HealthCheck, given, settings

from tests.reliability.fuzz import LAWS

ROUND = 200


def main() -> None:
    """Go round until the time is over."""
    parser = argparse.ArgumentParser(description="fuzz readers and settings")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--law", choices=[law.__name__ for law in LAWS], help="only this one")
    options = parser.parse_args()
    laws = [law for law in LAWS if options.law in (None, law.__name__)]
    long = settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    tried = dict.fromkeys((law.__name__ for law in laws), 0)
    failed: set[str] = set()
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        while time.monotonic() < end and len(failed) < len(laws):
            for law in laws:
                if law.__name__ in failed or time.monotonic() > end:
                    continue
                try:
                    long(given(LAWS[law])(law))()
                    tried[law.__name__] += ROUND
                except Exception:
                    failed.add(law.__name__)
                    traceback.print_exc()
        os.chdir("/")
    for name, count in tried.items():
        print(f"{name:28} {count:7} cases {'FAILED' if name in failed else 'no fault'}")
    print(f"{'in all':28} {sum(tried.values()):7} cases")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
