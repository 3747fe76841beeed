"""Picture of the first scenario: CPU time per request of every client, as SVG for light and dark backgrounds."""

from __future__ import annotations

from html import escape

from benches.peers import figures
from benches.peers.closed_rows import SCENARIOS
from benches.peers.figures import Document

_WIDTH, _LABEL, _BAR, _GAP, _TOP, _RIGHT = 760, 250, 20, 10, 64, 150
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1c2430; }
.title { font-size: 16px; font-weight: 600; }
.note { font-size: 12px; fill: #5b6675; }
.user { fill: #2f6fdb; } .system { fill: #9dbcf0; }
.ours .user { fill: #d9691e; } .ours .system { fill: #f2b78d; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6eaf0; } .note { fill: #9aa6b5; }
  .user { fill: #6ea0f5; } .system { fill: #37558a; }
  .ours .user { fill: #f08a45; } .ours .system { fill: #8a5230; }
}"""


def svg(document: Document) -> str:
    """Horizontal bars on a linear scale, user and system time in two colours; the cheapest on top."""
    scenario = SCENARIOS[0]
    found = _costs(document, scenario.key, scenario.clients)
    height = _TOP + len(found) * (_BAR + _GAP) + 34
    most = max((user + system for _, user, system in found), default=1.0)
    unit = (_WIDTH - _LABEL - _RIGHT) / most
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="t">',
        f"<style>{_STYLE}</style>",
        '<text x="0" y="20" class="title" id="t">CPU seconds of the client per 100,000 requests</text>',
        f'<text x="0" y="42" class="note">{escape(scenario.title)}; dark: user, light: kernel; less is better</text>',
    ]
    for number, (name, user, system) in enumerate(found):
        y = _TOP + number * (_BAR + _GAP)
        ours = ' class="ours"' if name.startswith("atm") else ""
        ratios = figures.ratios(document, scenario.key, name, scenario.baseline, figures.cpu_per_100k)
        times = f"   {sorted(ratios)[len(ratios) // 2]:.2f} × {scenario.baseline}" if ratios else ""
        middle, end = _LABEL + user * unit, _LABEL + (user + system) * unit
        lines += [
            f"<g{ours}>",
            f'<text x="{_LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="user" x="{_LABEL}" y="{y}" width="{user * unit:.1f}" height="{_BAR}"/>',
            f'<rect class="system" x="{middle:.1f}" y="{y}" width="{system * unit:.1f}" height="{_BAR}"/>',
            f'<text x="{end + 8:.1f}" y="{y + 15}">{user + system:.2f}{times}</text>',
            "</g>",
        ]
    measured = escape(f"{document['measured_at'][:10]}, {document['machine']['processor']}")
    lines += [f'<text x="0" y="{height - 10}" class="note">{measured}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def _costs(document: Document, section: str, names: tuple[str, ...]) -> list[tuple[str, float, float]]:
    costs = []
    for name in names:
        user = figures.median(document, section, name, figures.user_per_100k)
        system = figures.median(document, section, name, figures.system_per_100k)
        if user is not None and system is not None:
            costs.append((name, user, system))
    return sorted(costs, key=lambda cost: cost[1] + cost[2])
