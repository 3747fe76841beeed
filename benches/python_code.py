"""The journey as a scenario in Python, and as Locust's own file, against Locust's FastHttpUser.

CPU time of the whole client per request, measured in turn within each round, as in `benches.flow_peers`; the ratio is
the median over the rounds.

Usage: python -m benches.python_code [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys

from benches import flow_peers
from benches.flow import BODY
from benches.measure import MeasurementError
from benches.nginx import Nginx

_SERVER_CORE = 1
BARS = {flow_peers.CODE: 4.0, flow_peers.LOCUSTFILE: 2.5}
"""Requests per CPU second, as a multiple of Locust's."""


def main(arguments: list[str]) -> int:
    rounds = int(arguments[0]) if arguments else 3
    print(f"python code: the load of the machine before was {os.getloadavg()[0]:.1f}")
    samples: dict[str, list[float]] = {name: [] for name in (*BARS, flow_peers.LOCUST)}
    with Nginx(_SERVER_CORE, BODY) as nginx:
        for _ in range(rounds):
            for name, costs in samples.items():
                costs.append(flow_peers.cpu_per_1000(name, nginx))
    for name, costs in samples.items():
        print(f"{name}: {1000 / statistics.median(costs):,.0f} requests per CPU second ({costs})")
    holds = True
    for name, bar in BARS.items():
        pairs = zip(samples[name], samples[flow_peers.LOCUST], strict=True)
        ratio = statistics.median(locust / code for code, locust in pairs)
        print(f"{name} against {flow_peers.LOCUST}: {ratio:.2f} times; the bar is {bar}")
        holds = holds and ratio >= bar
    return 0 if holds else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MeasurementError as error:
        sys.exit(f"error: {error}")
