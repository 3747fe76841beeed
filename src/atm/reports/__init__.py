"""Renders results as HTML, CSV, JUnit XML and GitHub summaries.

May import `metrics`, `models` and `errors` only. Start with `html/page.py`; `rungs.py` makes the rows of the histogram.
"""
