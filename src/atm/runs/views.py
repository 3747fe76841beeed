"""Convert stored runs to the views of the Control API, which the command line uses too."""

from __future__ import annotations

from atm.models.control.first_design import endpoint_view, full_spec
from atm.models.control.runs import RunSummaryView, RunView
from atm.models.endpoint_metrics import Metrics, NamedEndpointMetrics
from atm.storage.records import Run, RunSummary

_SUMMARY = tuple(RunSummaryView.model_fields)


def summary_view(run: RunSummary) -> RunSummaryView:
    """Return a run as a list entry."""
    return RunSummaryView(**{name: getattr(run, name) for name in _SUMMARY if name != "tags"}, tags=list(run.tags))


def run_view(run: Run) -> RunView:
    """Return a run in full, without its intervals."""
    endpoints = run.endpoint_metrics
    return RunView(
        **summary_view(run.summary).model_dump(),
        notes=run.notes,
        spec=full_spec(run.spec),
        written_spec=dict(run.spec),
        failure_reasons=list(run.failure_reasons),
        metrics=None if run.metrics is None else Metrics.model_validate(run.metrics),
        endpoint_metrics=None
        if endpoints is None
        else [endpoint_view(NamedEndpointMetrics.model_validate(metrics)) for metrics in endpoints],
        cancel_requested=None if run.cancel is None else run.cancel.value,
        has_credentials=run.sealed is not None,
        files=dict(run.files),
    )
