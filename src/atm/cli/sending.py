"""`atm run --server`: the spec goes to a server, the run is watched from here, and its report is printed here."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from atm.cli.ending import followed, judged_again
from atm.cli.history import opened
from atm.cli.history.server import ServerHistory
from atm.cli.output import Output
from atm.cli.text import Style, short_id
from atm.errors import Problem, SpecError
from atm.models.fields import Findings, path_text
from atm.models.spec import TestSpec
from atm.plan.document import SpecDocument

if TYPE_CHECKING:
    from atm.models.run import RunResult


def plain_spec(document: SpecDocument) -> dict[str, Any]:
    """The spec as plain data, checked as far as that is possible away from where it will run.

    Raises SpecError with every problem of it, each with its line.
    """
    findings = Findings()
    spec = TestSpec.read(document.data, (), findings)
    if len(findings):
        raise SpecError(findings.problems(document.place))
    return spec.to_data()


def run_there(document: SpecDocument, output: Output, server: str, *, strict: bool, no_fail: bool) -> RunResult:
    """Run the spec on a server and watch it here. Raises SpecError, and what `ControlClient` raises."""
    return asyncio.run(_run(document, output, server, strict=strict, no_fail=no_fail))


async def _run(document: SpecDocument, output: Output, server: str, *, strict: bool, no_fail: bool) -> RunResult:
    spec = plain_spec(document)
    async with opened(server) as history:
        assert isinstance(history, ServerHistory)
        try:
            accepted = await history.client.create_run(spec)
        except SpecError as error:
            raise SpecError([placed(problem, document) for problem in error.problems]) from error
        if not output.quiet:
            line = output.err.paper.line(f" run {short_id(accepted.id)} on {history.place}", Style.DIM)
            output.err.lines([line])
        result = await followed(history, accepted.id, output, ours=True)
    assert result is not None
    return judged_again(result, strict=strict, no_fail=no_fail)


def placed(problem: Problem, document: SpecDocument) -> Problem:
    """The server's problem with the line of our file that it is about."""
    path = re.sub(r"^(body\.)?spec\.", "", problem.path).partition(" character ")[0]
    places = {path_text(known): place for known, place in document.places.items()}
    while path and path not in places:
        path = path.rpartition("." if path.rfind(".") > path.rfind("[") else "[")[0]
    return replace(problem, place=places.get(path, document.name))
