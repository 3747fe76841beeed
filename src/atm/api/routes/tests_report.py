"""The report of all saved tests as PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query, Response

from atm.api.deps import Plane
from atm.api.late_route import Routes
from atm.api.routes.reports import attachment
from atm.bootstrap import ControlPlane
from atm.off_loop import off_loop
from atm.reports.test_runs import TestRuns
from atm.runs.views import summary_view
from atm.storage.records import RunQuery
from atm.storage.test_configs import TestConfig

router = Routes("tests")

MOST_TESTS = 500
RECENT = 20


@router.get(
    "/tests/report",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def read_tests_report(
    plane: Plane,
    tag: Annotated[str | None, Query(max_length=128, description="Only tests with this tag.")] = None,
) -> Response:
    """Read a PDF over the stored tests: how the last run of each ended, the trend of its last runs, and what failed.

    It has at most 500 tests, by name.
    """
    configs = [config for config in await plane.storage.tests.all() if tag is None or tag in config.tags]
    tests = [await _runs(plane, config) for config in configs[:MOST_TESTS]]
    now = datetime.now(UTC)
    return attachment(await off_loop(_pdf, tests, now, tag), "application/pdf", f"tests-{now:%Y-%m-%d}.pdf")


async def _runs(plane: ControlPlane, config: TestConfig) -> TestRuns:
    page = await plane.storage.runs.page(RunQuery(name=config.name, limit=RECENT, with_total=False))
    test = TestRuns(config.name, config.enabled, [summary_view(run) for run in page.runs])
    if test.last is None or not test.failed:
        return test
    run = await plane.storage.runs.get(test.last.id)
    reasons = [*run.failure_reasons, *([test.last.error_message] if test.last.error_message else [])]
    return replace(test, reasons=reasons)


def _pdf(tests: Sequence[TestRuns], at: datetime, tag: str | None) -> bytes:
    # Imported in the thread, since it takes half a second.
    from atm.reports.pdf.tests_report import render_tests_pdf

    return render_tests_pdf(tests, at, tag)
