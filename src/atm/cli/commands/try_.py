"""`atm try`: send one request to each endpoint, or run one iteration of each scenario, and show it in full."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atm.cli.exchange import step_lines
from atm.cli.options import OutputOptions
from atm.cli.request_options import RequestOptions, overrides_of
from atm.errors import EngineError, Problem
from atm.models.exit_code import ExitCode
from atm.models.outcome import Outcome
from atm.plan.try_plan import one_of_each, places

if TYPE_CHECKING:
    from atm.models.samples import TriedStep


def command(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC|URL|-", help="A YAML, JSON or Python file, a URL, or - for stdin.")
    ],
    *,
    request: RequestOptions,
    output: OutputOptions,
) -> int:
    """Send one request to each endpoint of a spec and show it in full.

    Of each scenario, it runs one iteration. Prints request and response with headers and bodies, checks and extracted
    values, secrets masked, and whether the response is as the spec expects. Exit code 0 if all are, 99 if one is not, 3
    if there was no response at all.
    """
    from atm.cli.report.code import exceptions_tried
    from atm.cli.specs import compile_source
    from atm.engine.executor import Execution
    from atm.models.samples import steps_tried

    test = compile_source(spec, overrides_of(spec, request))
    if test.spec.fleet is not None and test.spec.fleet.size:
        what = "`fleet` is ignored: a trial runs in this process"
        output.note(Problem(what, "fleet_ignored", path="fleet", hint="`atm run` uses the workers"))
    execution = Execution(replace(test, plan=one_of_each(test.plan)))
    result = asyncio.run(execution.run())
    if result.teardown is not None and result.teardown.status == "failed":
        what = f"teardown: {result.teardown.described}"
        output.note(Problem(what, "teardown_failed", path="teardown", hint=result.teardown.hint))
    if result.run.error and not result.samples and not result.exceptions:
        hint = result.setup.hint if result.setup else ""
        raise EngineError(Problem(result.run.error, "not_tried", hint=hint))
    place = places(test.plan, execution.collector.endpoints)
    tried = steps_tried(result.samples, result.sampled_iterations, result.requests_of_endpoints)
    samples = sorted(tried, key=lambda sample: place[sample.endpoint])
    if output.json:
        document: dict[str, Any] = {"endpoints": [_document(sample) for sample in samples]}
        if result.exceptions:
            document["exceptions"] = [asdict(group) for group in result.exceptions]
        output.document(document)
    else:
        for number, sample in enumerate(samples):
            lines = step_lines(sample, output.out.paper)
            output.out.lines([output.out.paper.line(), *lines] if number else lines)
        output.out.lines(exceptions_tried(result.exceptions, output.out.paper))
    if samples and not any(sample.status for sample in samples):
        return ExitCode.UNREACHABLE
    is_as_expected = not result.exceptions and all(sample.outcome == Outcome.OK for sample in samples)
    return ExitCode.PASSED if is_as_expected else ExitCode.THRESHOLDS_FAILED


def _document(sample: TriedStep) -> dict[str, Any]:
    document = sample.model_dump(mode="json", exclude={"warm_up", "reason", "at_seconds", "request_number", "think_ms"})
    return {"ok": sample.outcome == Outcome.OK, **document}
