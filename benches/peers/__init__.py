"""Benchmark of API Test Machine and other load testers, measured at the server.

May import `benches.measure`, `atm.testing` and what `tools` needs for the docs; only `benches` and `tools` import it.
Start reading with `campaign.py` (the measurements and their order), then `clients.py` (the command line of each tool)
and `closed_rows.py`, `paced_rows.py`, `truth_rows.py` (the kinds of measurement).
"""

from __future__ import annotations


def main() -> int:
    """Run `make bench-peers`: install missing tools, measure everything, write benches/results/."""
    from benches.peers.__main__ import main as run

    return run([])
