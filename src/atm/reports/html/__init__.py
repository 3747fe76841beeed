"""The HTML report: one self-contained file without network access or scripts; plots are inline SVG.

Start with `render_html` in `page.py`, which orders the sections. `markup.py` escapes everything that is not our own
markup, `style.py` is the style sheet, `scales.py` and `charts.py` draw the plots, `parts.py`, `tables.py` and
`scenarios.py` the rest.
"""

from atm.reports.html.page import render_html

__all__ = ["render_html"]
