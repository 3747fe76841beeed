"""The benchmark side by side: API Test Machine against other load testers, measured at the server.

It may import `benches.measure`, `atm.testing` and what `tools` needs for the docs; nothing imports it but `benches`.
Start reading with `campaign.py` (what is measured, in which order), then `clients.py` (the command line of each tool)
and `closed.py`, `pacing.py`, `truth.py` (how each kind of figure is taken).
"""

from __future__ import annotations


def main() -> int:
    """`make bench-peers`: install what is missing, measure everything, write benches/results/."""
    from benches.peers.__main__ import main as run

    return run([])
