"""`atm show`: print the report or sampled requests of a stored run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import FilesOption, OutputOptions, RunArgument, ServerOption
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
    everything: Annotated[bool, typer.Option("--all", help="Show all endpoints and all kinds of failure.")] = False,
    slowest: Annotated[
        int | None, typer.Option("--slowest", metavar="N", help="Show the N slowest sampled requests in full.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", help="Show the sampled requests with this number in full.")
    ] = None,
    file_names: FilesOption = None,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write the verdicts as JUnit XML.")
    ] = None,
    server: ServerOption = None,
    *,
    output: OutputOptions,
) -> int:
    """Print the report of a stored run.

    With --slowest or --sample, print sampled requests instead. A run stores the first request of each endpoint, some of
    each kind of failure, and the slowest. The requests of a scenario have the number of their iteration.
    """
    from atm.cli.files import checked_outputs
    from atm.cli.history import with_history
    from atm.cli.history.sqlite_file import read
    from atm.cli.run_output import show

    if slowest is not None and slowest < 1:
        raise SpecError(Problem(f"--slowest must be 1 or more, not {slowest}", "bad_value", path="--slowest"))
    files = checked_outputs(file_names or (), junit)
    result = read(server, lambda reader: _stored(reader, run))
    if result is None:
        result = with_history(server, lambda history: _result(history, run))
    if slowest is None and sample is None:
        return show(result, output, files, saved=True, everything=everything)
    samples = _select(result, slowest, sample)
    if output.json:
        output.document({"samples": [exchange.model_dump(mode="json") for exchange in samples]})
        return ExitCode.PASSED
    from atm.cli.exchange import exchange_lines

    paper = output.out.paper
    for number, exchange in enumerate(samples):
        head = paper.line(f" request {exchange.request_number}", Style.DIM)
        head.add(f"  sampled as {exchange.reason}", Style.DIM)
        lines = [*([paper.line()] if number else []), head, *exchange_lines(exchange, paper)]
        output.out.lines(lines)
    return ExitCode.PASSED


def _stored(reader: SqliteReader, reference: str) -> RunResult | None:
    from atm.cli.history.sqlite_file import find

    run = find(reader, reference)
    return None if run is None else reader.result(run.id)


async def _result(history: History, reference: str) -> RunResult:
    from atm.cli.history.base import resolve_run
    from atm.cli.remote_run import no_report_error

    run_id = await resolve_run(history, reference)
    result = await history.result(run_id)
    if result is None:
        raise no_report_error(await history.run(run_id))
    return result


def _select(result: RunResult, slowest: int | None, number: int | None) -> list[SampledExchange]:
    samples = result.samples
    if not samples:
        what = f"run {short_id(result.run.id)} has no sampled requests"
        raise NotFoundError(Problem(what, "sample_not_found", hint="They may have been pruned: `atm db status`"))
    if number is None:
        return sorted(samples, key=lambda exchange: -exchange.response_ms)[:slowest]
    matches = [exchange for exchange in samples if exchange.request_number == number]
    if not matches:
        numbers = sorted({exchange.request_number for exchange in samples})
        stored = ", ".join(map(str, numbers[:MOST_NUMBERS])) + (", …" if len(numbers) > MOST_NUMBERS else "")
        what = f"run {short_id(result.run.id)} has no sample of request {number}"
        raise NotFoundError(Problem(what, "sample_not_found", path="--sample", hint=f"Sampled requests: {stored}"))
    return sorted(matches, key=lambda exchange: exchange.at_seconds)
