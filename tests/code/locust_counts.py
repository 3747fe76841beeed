"""What Locust itself counts for each file of `locustfiles`, kept in `locustfiles/expected.json`.

Written by hand, with the program of an environment in which Locust is installed:

    python -m tests.code.locust_counts PATH/TO/locust [NAME …]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from atm.testing import TargetServer

FILES = Path(__file__).parent / "locustfiles"
EXPECTED = FILES / "expected.json"

Counts = dict[str, list[int]]
"""Requests and failures by `METHOD name`."""


@dataclass(frozen=True)
class Case:
    """A run of a locustfile."""

    file: str
    users: int
    seconds: int = 6
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    together: tuple[str, ...] = ()
    """Names between which chance decides; they are compared by their sum."""
    only_here: Mapping[str, list[int]] = field(default_factory=dict)
    """What Locust does not count."""
    shape: bool = False


CASES: Mapping[str, Case] = {
    "basic": Case("basic", 3, together=("GET /shop/products?size=5", "GET /shop/health")),
    "fast": Case("fast", 4),
    "task_lists": Case("task_lists", 6, together=("GET health", "GET fixed")),
    "nested": Case("nested", 3),
    "sequence": Case("sequence", 2),
    "tags": Case(
        "tags",
        2,
        arguments=("--tags", "read", "--tags", "write", "--exclude-tags", "fast"),
        together=("GET two", "POST three", "GET five"),
    ),
    "no_tags": Case("tags", 2, together=("GET one", "GET two", "POST three", "GET four", "GET five")),
    "waits": Case("waits", 7),
    "session": Case("session", 2),
    # Locust counts no request whose block ends with an exception, although it was sent.
    "failures": Case("failures", 2, only_here={"GET lost in block": [2, 2]}),
    "listeners": Case("listeners", 1),
    "shape": Case("shape", 0, 4, shape=True),
    "classes": Case("classes", 10),
    "options": Case("options", 2, environment={"SHOP_WHO": "user0004"}),
    "reschedule": Case("reschedule", 2),
    "rest": Case("rest", 2),
}


def summed(counts: Counts, case: Case) -> Counts:
    """Return counts with the names that chance decides between added up."""
    kept = {name: count for name, count in counts.items() if name not in case.together}
    if case.together:
        chosen = [count for name, count in counts.items() if name in case.together]
        kept["(by chance)"] = [sum(column) for column in zip(*chosen, strict=True)]
    return dict(sorted(kept.items()))


def locust_counts(locust: str, case: Case, host: str) -> Counts:
    """Run the file in Locust."""
    command = [locust, "-f", f"{case.file}.py", "--headless", "--json", "--host", host, *case.arguments]
    if not case.shape:
        command += ["-u", str(case.users), "-r", "100", "-t", f"{case.seconds}s"]
    done = subprocess.run(
        command, cwd=FILES, env={**os.environ, **case.environment}, capture_output=True, text=True, check=False
    )
    print(done.stderr, file=sys.stderr)
    # What a listener prints comes before it.
    rows = json.loads(done.stdout[done.stdout.index("[\n") if "[\n" in done.stdout else done.stdout.index("[") :])
    return {f"{row['method']} {row['name']}": [row["num_requests"], row["num_failures"]] for row in rows}


def main(locust: str, names: list[str]) -> None:
    """Write the counts of these cases, or of all."""
    expected = json.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else {}
    with TargetServer() as target:
        for name in names or CASES:
            expected[name] = summed(locust_counts(locust, CASES[name], target.url), CASES[name])
            print(name, json.dumps(expected[name], indent=1))
    text = json.dumps(dict(sorted(expected.items())), indent=2, ensure_ascii=False)
    EXPECTED.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
