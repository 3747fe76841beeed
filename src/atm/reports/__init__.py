"""Renders results as HTML, PDF, Markdown, CSV, JUnit XML and GitHub annotations.

May import `metrics`, `models` and `errors` only. Start with `html/page.py`; `facts.py` has what HTML and PDF
say in the same words, `rungs.py` makes the rows of the histogram.
"""
