"""The style sheet of the HTML report."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from atm.reports.palette import DARK, LIGHT

_RULES = """
*{box-sizing:border-box}
body{margin:0;background:var(--canvas);color:var(--text);font:14px/20px system-ui,sans-serif;
font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main{max-width:1080px;margin:0 auto;padding:24px 16px 48px;display:grid;gap:16px;grid-template-columns:minmax(0,1fr)}
h1{font-size:20px;line-height:28px;font-weight:600;margin:0;overflow-wrap:anywhere}
h2{font-size:16px;line-height:24px;font-weight:600;margin:0 0 8px}
p{margin:0}
.muted{color:var(--muted)}.pass{color:var(--pass)}.fail{color:var(--fail)}.warn{color:var(--warn)}.info{color:var(--info)}
.card{background:var(--card);border:1px solid var(--border);border-radius:8px;padding:16px;min-width:0}
.row{display:grid;gap:16px;grid-template-columns:minmax(0,1fr)}
.verdict{display:flex;gap:8px;align-items:baseline}
.verdict b{font-weight:600}
.sign{font-weight:700;width:16px;flex:none}
.tiles{display:grid;gap:16px;grid-template-columns:repeat(2,minmax(0,1fr))}
.tile .figure{font-size:28px;line-height:32px;font-weight:600;white-space:nowrap}
.tile .figure small{font-size:14px;font-weight:400;color:var(--muted);margin-left:4px}
.tile .name{font-size:12px;line-height:16px;color:var(--muted)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;line-height:20px}
th{font-weight:400;color:var(--muted);text-align:left}
th,td{padding:6px 0 5px 16px;border-bottom:1px solid var(--border);vertical-align:top;white-space:nowrap}
th:first-child,td:first-child{padding-left:0}
tr:last-child>td{border-bottom:0}
.n{text-align:right}
.wrap{white-space:normal;overflow-wrap:anywhere;min-width:160px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px;line-height:18px}
pre{margin:8px 0 0;white-space:pre-wrap;overflow-wrap:anywhere;background:var(--canvas);border:1px solid var(--border);
border-radius:6px;padding:8px 12px;max-height:480px;overflow:auto}
details>summary{cursor:pointer;color:var(--muted);padding:4px 0}
details[open]>summary{color:var(--text)}
summary:focus-visible{outline:2px solid var(--info);outline-offset:2px;border-radius:6px}
.chip{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:8px}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:12px;line-height:16px;color:var(--muted);margin-bottom:4px}
.legend span{display:inline-flex;align-items:center;gap:6px}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:12px system-ui,sans-serif;fill:var(--muted);font-variant-numeric:tabular-nums}
svg text.end{text-anchor:end}svg text.mid{text-anchor:middle}
svg text.strong{fill:var(--text)}
.grid{stroke:var(--border);stroke-width:1}
.line{fill:none;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}
.dash{stroke-dasharray:5 4}
.limit{stroke:var(--fail);stroke-width:1;stroke-dasharray:2 3}.over{fill:var(--fail);opacity:.07}
.warmup{fill:url(#hatch)}.hover{fill:transparent}.hover:hover{fill:var(--muted);opacity:.18}
.half{max-width:560px}.facts{margin-left:24px}.verdict+.scroll{margin:4px 0 12px}
.barcell{min-width:80px;width:40%}.bar{height:20px}.caption{font-weight:400}
.narrow{display:none}
@media (max-width:639px){.wide{display:none}.narrow{display:block}main{padding:16px 12px 32px}}
@media (min-width:640px){.tiles{grid-template-columns:repeat(5,minmax(0,1fr))}}
@media (min-width:1024px){.two{grid-template-columns:repeat(2,minmax(0,1fr))}}
@media print{body{background:#fff}main{max-width:none;padding:0}.card{break-inside:avoid;border-color:#ccc}
details:not([open]){display:none}pre{max-height:none}}
"""

_ENDPOINTS = tuple(f"e{number}" for number in range(1, 9))
_NAMES = (
    "p50",
    "p90",
    "p95",
    "p99",
    "p999",
    "s2",
    "s3",
    "s4",
    "s5",
    "s0",
    "text",
    "muted",
    "info",
    "fail",
    *_ENDPOINTS,
)
_PAINT = "".join(f".k-{n}{{stroke:var(--{n})}}.f-{n}{{fill:var(--{n})}}.b-{n}{{background:var(--{n})}}" for n in _NAMES)


def _variables(palette: Mapping[str, str], scheme: str) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette.items()) + f"color-scheme:{scheme}"


_LIGHT, _DARK = _variables(LIGHT, "light"), _variables(DARK, "dark")

STYLE = (
    f":root{{{_LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    f"@media print{{:root{{{_LIGHT}}}}}{_RULES}{_PAINT}"
).replace("\n", "")
"""The style sheet, in one line."""

STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
"""The only style source that the page's Content-Security-Policy allows."""
