"""The journey as a scenario in Python, and as Locust's own file, against Locust's FastHttpUser.

CPU time of the whole client per request, measured in turn within each round, as in `benches.flow_peers`; the ratio is
the median over the rounds.

Usage: python -m benches python_code
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from benches import flow_peers
from benches.flow import BODY
from benches.measure import ROOT, Figure, MeasurementError, against, interleaved, keep, table
from benches.nginx import Nginx
from benches.peers.install import NotInstalledError

ROUNDS = 5
_SERVER_CORE = 1
BARS = {flow_peers.CODE: 4.0, flow_peers.LOCUSTFILE: 2.5}
"""Requests per CPU second, as a multiple of Locust's."""


def main() -> int:
    before = os.getloadavg()[0]
    with Nginx(_SERVER_CORE, BODY) as nginx:
        names = (*BARS, flow_peers.LOCUST)
        subjects = {name: lambda name=name: flow_peers.cpu_per_1000(name, nginx) for name in names}
        print(f"python_code: {ROUNDS} rounds, CPU per 1,000 requests, median of the ratios within each round")
        try:
            samples = interleaved(subjects, ROUNDS)
        except (MeasurementError, NotInstalledError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    rows = against(samples, flow_peers.LOCUST, {name: 1 / bar for name, bar in BARS.items()})
    print(table(rows, flow_peers.LOCUST))
    named = [replace(row, name=f"CPU per request: {row.name}, against {flow_peers.LOCUST}") for row in rows]
    more = [
        Figure(f"requests per CPU second: {row.name}, as a multiple of {flow_peers.LOCUST}", 1 / row.ratio, "")
        for row in rows
    ]
    kept = keep("python_code", samples, [Figure("load of the machine before", before, ""), *named, *more])
    print(f"samples: {kept.relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
