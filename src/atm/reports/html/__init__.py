"""The HTML report: one self-contained file, no network, no script; plots are inline SVG.

`render_html` is the whole. `markup.py` escapes whatever is not markup of our own, `style.py` holds the design system,
`scales.py` and `charts.py` draw, `parts.py` and `tables.py` hold the pieces, `page.py` orders them: verdicts first.
"""

from atm.reports.html.page import render_html

__all__ = ["render_html"]
