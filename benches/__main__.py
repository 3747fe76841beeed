"""Run the named benchmarks, or all except those on request: python -m benches [NAME ...]"""

from __future__ import annotations

import importlib
import sys

BENCHES = ("startup", "asyncio_engine", "native_engine", "storage", "control_plane")
ON_REQUEST = ("peers", "scenarios", "soak", "native_instructions", "two_cores", "fleet", "long_run", "python_code")
"""Run only by name: they take minutes or compare two versions; `peers` installs programs."""


def main(names: list[str]) -> int:
    unknown = set(names) - {*BENCHES, *ON_REQUEST}
    if unknown:
        print(f"error: no benchmark named {', '.join(sorted(unknown))}", file=sys.stderr)
        print(f"  hint: known are {', '.join((*BENCHES, *ON_REQUEST))}", file=sys.stderr)
        return 2
    statuses: list[int] = [importlib.import_module(f"benches.{name}").main() for name in names or BENCHES]
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
