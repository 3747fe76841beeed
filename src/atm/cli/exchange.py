"""Render a sampled request and its response for `atm try` and `atm show --sample`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from atm.cli.text import Line, Paper, Style
from atm.models import figures
from atm.models.outcome import Outcome
from atm.plan.try_plan import MOST_BODY_BYTES

if TYPE_CHECKING:
    from atm.models.samples import SampledExchange, SampledStep, TriedStep


def step_lines(step: TriedStep, paper: Paper) -> list[Line]:
    """Return the lines of one exchange with its checks and extracted values."""
    rounds = [] if step.requests == 1 else [paper.line(f"   the first of {step.requests} requests", Style.DIM)]
    return exchange_lines(step, paper, [*rounds, *_checks(step, paper), *_values(step, paper)])


def _checks(step: SampledStep, paper: Paper) -> list[Line]:
    lines = []
    for check in step.checks:
        sign, style = (paper.signs.passed, Style.PASS) if check.passed else (paper.signs.failed, Style.FAIL)
        lines.append(paper.line("   ").add(sign, style).add(f" {check.name}"))
    return lines


def _values(step: SampledStep, paper: Paper) -> list[Line]:
    lines = []
    for value in step.values:
        line = paper.line(f"   {value.name} = ", Style.DIM)
        lines.append(line.add("no value", Style.DIM) if value.value is None else line.add(value.value))
    return lines


def exchange_lines(sample: SampledExchange, paper: Paper, findings: Sequence[Line] = ()) -> list[Line]:
    """Return the lines of one exchange: outcome, `findings`, request, response."""
    good = sample.outcome == Outcome.OK
    style = Style.PASS if good else Style.FAIL
    line = (
        paper.line(" ")
        .add(paper.signs.passed if good else paper.signs.failed, style)
        .add(f" {sample.endpoint}", Style.BOLD)
    )
    outcome = "ok" if good else f"{sample.outcome.replace('_', ' ')}: {sample.message}"
    status = "" if sample.status is None else f"  {sample.status}"
    line.add(status, style).add(f"  {outcome}").add(f"  {figures.time(sample.service_ms)}", Style.DIM)
    if sample.first_byte_ms is not None:
        line.add(f", first byte {figures.time(sample.first_byte_ms)}", Style.DIM)
    lines = [line, paper.line(f"   {sample.url}", Style.DIM), *findings, paper.line()]
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
    """Return JSON indented, anything else unchanged."""
    if body.lstrip()[:1] not in ("{", "["):
        return body
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
