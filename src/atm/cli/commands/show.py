"""`atm show`: the report of a run again, and the requests that were kept whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, RunArgument, ServerOption
from atm.cli.output import Color, Output
from atm.cli.text import Style, short_id
from atm.errors import NotFoundError, Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.cli.history import History
    from atm.models.run import RunResult, SampledExchange
    from atm.storage.sqlite_reader import SqliteReader

MOST_NUMBERS = 20


def command(
    run: RunArgument,
    everything: Annotated[bool, typer.Option("--all", help="Leave out no endpoint and no kind of failure.")] = False,
    slowest: Annotated[
        int | None, typer.Option("--slowest", metavar="N", help="Show the N slowest kept requests whole.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", help="Show the kept request with this number whole.")
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write FILE.json, .csv or .html; several times."),
    ] = None,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write the verdicts as JUnit XML.")
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Show the report of a run again, as it was printed when the run ended.

    A run keeps some requests whole: the first of each endpoint, some of each kind of failure, and the slowest.
    """
    from atm.cli.files import checked_outputs
    from atm.cli.history import asked
    from atm.cli.history.sqlite_file import read
    from atm.cli.run_output import show

    if slowest is not None and slowest < 1:
        raise SpecError(Problem(f"--slowest must be 1 or more, not {slowest}", "bad_value", path="--slowest"))
    files = checked_outputs(output or (), junit)
    result = read(server, lambda reader: _stored(reader, run)) or asked(server, lambda history: _result(history, run))
    shown = Output.of(color, json=json)
    if slowest is None and sample is None:
        return show(result, shown, files, saved=True, everything=everything)
    samples = _chosen(result, slowest, sample)
    if json:
        shown.document({"samples": [each.model_dump(mode="json") for each in samples]})
        return ExitCode.PASSED
    from atm.cli.exchange import exchange_lines

    paper = shown.out.paper
    for number, each in enumerate(samples):
        head = paper.line(f" request {each.request_number}", Style.DIM).add(f"  kept as {each.reason}", Style.DIM)
        lines = [*([paper.line()] if number else []), head, *exchange_lines(each, paper)]
        shown.out.lines(lines)
    return ExitCode.PASSED


def _stored(reader: SqliteReader, written: str) -> RunResult | None:
    from atm.cli.history.sqlite_file import find

    run = find(reader, written)
    return None if run is None else reader.result(run.id)


async def _result(history: History, written: str) -> RunResult:
    from atm.cli.history.base import resolved
    from atm.cli.remote_run import nothing_measured

    run_id = await resolved(history, written)
    result = await history.result(run_id)
    if result is None:
        raise nothing_measured(await history.run(run_id))
    return result


def _chosen(result: RunResult, slowest: int | None, number: int | None) -> list[SampledExchange]:
    samples = result.samples
    if not samples:
        what = f"run {short_id(result.run.id)} has no kept requests"
        raise NotFoundError(Problem(what, "sample_not_found", hint="They may have been pruned: `atm db status`"))
    if number is None:
        return sorted(samples, key=lambda each: -each.response_ms)[:slowest]
    found = [each for each in samples if each.request_number == number]
    if not found:
        numbers = sorted({each.request_number for each in samples})
        kept = ", ".join(map(str, numbers[:MOST_NUMBERS])) + (", …" if len(numbers) > MOST_NUMBERS else "")
        what = f"run {short_id(result.run.id)} has not kept request {number}"
        raise NotFoundError(Problem(what, "sample_not_found", path="--sample", hint=f"It has kept {kept}"))
    return found[:1]
