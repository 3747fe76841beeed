"""Reports of runs to hand on: HTML, Markdown and PDF. They are rendered outside the event loop."""

from __future__ import annotations

import re
from collections.abc import Callable

from fastapi import Response

from atm.api.deps import Plane, RunId
from atm.api.late_route import Routes
from atm.api.routes.runs import read_result
from atm.bootstrap import ControlPlane
from atm.models.run import RunResult
from atm.off_loop import off_loop

router = Routes("runs")

_ERRORS: dict[int | str, dict[str, object]] = {
    404: {"description": "The run does not exist"},
    409: {"description": "The run has no result"},
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
HTML_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Scripts never run, whatever a report contains; its own policy allows one style sheet by hash."""


def file_name(name: str, number: str, suffix: str) -> str:
    """Return a plain file name: the name's letters and digits, and the start of an id."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-").lower()[:60]
    return f"{plain or 'run'}-{number[:8]}.{suffix}"


def attachment(content: str | bytes, media_type: str, name: str) -> Response:
    """Return a response that browsers save under this name."""
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get(
    "/runs/{run_id}/report.html",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}}, **_ERRORS},
)
async def read_html_report(plane: Plane, run_id: RunId) -> Response:
    """Read the result as one HTML file with plots, without scripts."""
    from atm.reports.html import render_html

    response = await _report(plane, run_id, render_html, "text/html; charset=utf-8", "html")
    response.headers["Content-Security-Policy"] = HTML_POLICY
    return response


@router.get(
    "/runs/{run_id}/report.md",
    response_class=Response,
    responses={200: {"content": {"text/markdown": {}}}, **_ERRORS},
)
async def read_markdown_report(plane: Plane, run_id: RunId) -> Response:
    """Read the result as Markdown, for pull requests and chats."""
    from atm.reports.markdown import render_markdown

    return await _report(plane, run_id, render_markdown, "text/markdown; charset=utf-8", "md")


@router.get(
    "/runs/{run_id}/report.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": _BINARY}}, **_ERRORS},
)
async def read_pdf_report(plane: Plane, run_id: RunId) -> Response:
    """Read the result as PDF: A4 pages with verdicts, plots and tables."""
    return await _report(plane, run_id, _pdf, "application/pdf", "pdf")


def _pdf(result: RunResult) -> bytes:
    # Imported in the thread, since it takes half a second.
    from atm.reports.pdf import render_pdf

    return render_pdf(result)


async def _report(
    plane: ControlPlane, run_id: str, render: Callable[[RunResult], str | bytes], media_type: str, suffix: str
) -> Response:
    result = await read_result(plane, run_id)
    return attachment(await off_loop(render, result), media_type, file_name(result.run.name, run_id, suffix))
