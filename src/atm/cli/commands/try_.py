"""`atm try`: one request to each endpoint, shown whole."""

from __future__ import annotations

import asyncio
import json as json_format
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, VariableOption
from atm.cli.output import Color, Output
from atm.cli.text import Line, Paper, Style
from atm.models import figures
from atm.models.exit_code import ExitCode
from atm.models.outcome import Outcome
from atm.plan.trial import MOST_BODY_BYTES, one_of_each

if TYPE_CHECKING:
    from atm.models.run import SampledExchange

def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC|URL|-", help="A YAML or JSON file, a URL, or - for stdin.")],
    var: VariableOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Send one request to each endpoint of a spec and show it whole.

    Request and answer with their headers and bodies, secrets masked, and whether the answer is what the spec expects.
    Exit code 0 when all are, 99 when one is not, 3 when nothing answered.
    """
    from atm.cli.specs import compile_source
    from atm.engine.executor import Execution
    from atm.plan.overrides import Overrides

    output = Output.of(color, json=json)
    test = compile_source(spec, Overrides(variables=tuple(var or ())))
    result = asyncio.run(Execution(replace(test, plan=one_of_each(test.plan))).run())
    order = {name: number for number, name in enumerate(test.plan.endpoints)}
    samples = sorted(result.samples, key=lambda sample: order[sample.endpoint])
    if json:
        output.document({"endpoints": [_document(sample) for sample in samples]})
    else:
        for number, sample in enumerate(samples):
            lines = exchange_lines(sample, output.out.paper)
            output.out.lines([output.out.paper.line(), *lines] if number else lines)
    if not any(sample.status for sample in samples):
        return ExitCode.UNREACHABLE
    return ExitCode.PASSED if all(sample.outcome == Outcome.OK for sample in samples) else ExitCode.THRESHOLDS_FAILED


def exchange_lines(sample: SampledExchange, paper: Paper) -> list[Line]:
    """One exchange: the verdict, then what was sent, then what came back."""
    good = sample.outcome == Outcome.OK
    style = Style.PASS if good else Style.FAIL
    line = (
        paper.line(" ")
        .add(paper.signs.passed if good else paper.signs.failed, style)
        .add(f" {sample.endpoint}", Style.BOLD)
    )
    said = "ok" if good else f"{sample.outcome.replace('_', ' ')}: {sample.message}"
    status = "" if sample.status is None else f"  {sample.status}"
    line.add(status, style).add(f"  {said}").add(f"  {figures.time(sample.service_ms)}", Style.DIM)
    if sample.first_byte_ms is not None:
        line.add(f", first byte {figures.time(sample.first_byte_ms)}", Style.DIM)
    lines = [line, paper.line(f"   {sample.url}", Style.DIM), paper.line()]
    lines += _message(
        paper, ">", sample.request_head, sample.request_headers, sample.request_body, sample.request_body_bytes
    )
    if sample.response_head is not None:
        lines.append(paper.line())
        head, headers = sample.response_head, sample.response_headers
        lines += _message(paper, "<", head, headers, sample.response_body, sample.response_body_bytes)
    return lines


def _message(
    paper: Paper, mark: str, head: str, headers: Sequence[tuple[str, str]], body: str, body_bytes: int
) -> list[Line]:
    texts = [head, *(f"{name}: {value}" for name, value in headers)]
    lines = [paper.line(f"   {mark} ", Style.DIM).add(text) for text in texts]
    if body:
        lines.append(paper.line(f"   {mark}", Style.DIM))
        lines += [paper.line(f"   {mark} ", Style.DIM).add(text) for text in pretty(body).splitlines()]
    missing = body_bytes - len(body.encode())
    if missing > 0 and body_bytes > MOST_BODY_BYTES:
        lines.append(paper.line(f"   {mark} … of {figures.size(body_bytes)}", Style.DIM))
    return lines


def pretty(body: str) -> str:
    """JSON with indentation, anything else as it is."""
    if body.lstrip()[:1] not in ("{", "["):
        return body
    try:
        return json_format.dumps(json_format.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def _document(sample: SampledExchange) -> dict[str, Any]:
    document = sample.model_dump(mode="json", exclude={"warm_up", "reason", "at_seconds", "request_number"})
    return {"ok": sample.outcome == Outcome.OK, **document}
