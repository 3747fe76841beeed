"""Reports as PDF: A4, plots as vectors, fonts embedded. Import it only where it is used: fpdf2 takes half a second.

Start with `render_pdf` in `run_report.py`, which orders the sections. `sheet.py` owns the page and its text,
`tables.py` and `charts.py` draw on it. Text is never interpreted: it has no markup, links or scripts.
"""

from atm.reports.pdf.run_report import render_pdf

__all__ = ["render_pdf"]
