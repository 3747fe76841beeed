"""`atm batch`: the tests stored on a server as one batch, over its Control API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.option_values import Commands
from atm.cli.options import OutputOptions
from atm.cli.output import Output
from atm.cli.server_client import DEFAULT_SERVER, on_server, server_option
from atm.cli.text import Style, short_id
from atm.errors import NotFoundError, Problem
from atm.models.exit_code import ExitCode
from atm.models.outcome import RunOutcome

if TYPE_CHECKING:
    from atm.client import ControlClient
    from atm.models.control.batches import BatchDetail

MOST_LISTED = 100
_POLL_SECONDS = 0.5
app = Commands()

Server = Annotated[str, server_option("Server that runs the tests.")]
Batch = Annotated[str, typer.Argument(metavar="BATCH", help="Id of a batch, or its start.")]
_CODES = {
    RunOutcome.PASSED: ExitCode.PASSED,
    RunOutcome.FAILED: ExitCode.THRESHOLDS_FAILED,
    RunOutcome.INVALID: ExitCode.MEASUREMENT_INVALID,
    RunOutcome.STOPPED: ExitCode.INTERRUPTED,
    RunOutcome.CANCELLED: ExitCode.INTERRUPTED,
}


@app.callback()
def _batches() -> None:
    """Run the tests stored on a server as one batch; list, show and cancel batches."""


@app.command("run")
def run(
    tests: Annotated[
        list[str] | None, typer.Argument(metavar="[TEST]...", help="Names of tests; default: all enabled ones.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Only tests with this tag; repeatable.")
    ] = None,
    repetitions: Annotated[
        int, typer.Option("--repetitions", metavar="N", min=1, max=100, help="Runs of each test.")
    ] = 1,
    max_concurrency: Annotated[
        int | None,
        typer.Option("--max-concurrency", metavar="N", min=1, max=1000, help="Most runs at the same time."),
    ] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Run disabled tests, too.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Run stored tests as one batch, and wait for its end.

    Ctrl-C stops waiting; the batch continues. The exit code is that of the worst run.
    """

    async def work(control: ControlClient) -> BatchDetail:
        started = await control.batches.start(
            tests=tests or None,
            tags=tag or (),
            repetitions=repetitions,
            max_concurrency=max_concurrency,
            enabled_only=not disabled,
        )
        for problem in started.skipped:
            output.note(Problem(f"{problem.path} was not started: {problem.message}", problem.code))
        if not started.runs:
            hint = "`atm tests push SPEC` stores a test"
            raise NotFoundError(Problem("no test matches, so nothing was started", "no_tests", hint=hint))
        if not output.json:
            paper = output.err.paper
            output.err.lines([paper.line(f" batch {short_id(started.batch_id)}: {started.message}", Style.DIM)])
        return await _ended(control, started.batch_id, wait=not detach)

    return _show(on_server(server, work), output)


@app.command("list")
def list_(
    server: Server = DEFAULT_SERVER,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="Show at most N batches.")] = 20,
    *,
    output: OutputOptions,
) -> int:
    """List the batches of a server, newest first."""
    answer = on_server(server, lambda control: control.batches.page(limit=limit))
    if output.json:
        output.document(answer.model_dump(mode="json"))
        return ExitCode.PASSED
    paper = output.out.paper
    lines = []
    for batch in answer.batches:
        line = paper.line(f" {short_id(batch.id)}").to(12).add(f"{batch.created_at:%Y-%m-%d %H:%M:%S}").to(34)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in batch.outcomes.items())
        lines.append(line.add(str(batch.outcome)).to(46).add(paper.fitted(counts, paper.width - 46), Style.DIM))
    output.out.lines(lines or [paper.line("no batches")])
    return ExitCode.PASSED


@app.command("show")
def show(
    batch: Batch,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Show the tests of a batch with their runs."""

    async def work(control: ControlClient) -> BatchDetail:
        return await control.batches.get(await _whole_id(control, batch))

    _show(on_server(server, work), output)
    return ExitCode.PASSED


@app.command("cancel")
def cancel(
    batch: Batch,
    graceful: Annotated[bool, typer.Option("--graceful", help="Stop the runs: requests in flight may finish.")] = False,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Cancel all runs of a batch that have not ended."""

    async def work(control: ControlClient) -> str:
        answer = await control.batches.cancel(await _whole_id(control, batch), graceful=graceful)
        if output.json:
            output.document(answer.model_dump(mode="json"))
        return answer.message

    message = on_server(server, work)
    if not output.json:
        output.out.lines([output.out.paper.line(f" {message}")])
    return ExitCode.PASSED


async def _ended(control: ControlClient, batch_id: str, *, wait: bool) -> BatchDetail:
    while True:
        batch = await control.batches.get(batch_id)
        if batch.completed_at is not None or not wait:
            return batch
        await asyncio.sleep(_POLL_SECONDS)


async def _whole_id(control: ControlClient, prefix: str) -> str:
    matches = [
        batch.id for batch in (await control.batches.page(limit=MOST_LISTED)).batches if batch.id.startswith(prefix)
    ]
    if len(matches) > 1 and prefix not in matches:
        raise NotFoundError(Problem(f"several batches start with {prefix!r}", "ambiguous_batch", path="BATCH"))
    return prefix if prefix in matches or not matches else matches[0]


def _show(batch: BatchDetail, output: Output) -> ExitCode:
    from atm.cli.batch_runs import batch_run_lines

    if output.json:
        output.document(batch.model_dump(mode="json"))
    else:
        output.out.lines(batch_run_lines(batch, output.out.paper))
    if batch.completed_at is None:
        return ExitCode.PASSED
    return _CODES.get(batch.outcome, ExitCode.UNEXPECTED_ERROR)
