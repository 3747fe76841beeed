"""What a run elsewhere left behind, as the command ends with it: its report, or why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atm.cli.elsewhere import FollowedRun
from atm.cli.history import History
from atm.cli.output import Output
from atm.cli.text import Style, short_id
from atm.errors import AtmError, EngineError, Problem
from atm.metrics.summary import exit_code
from atm.models.exit_code import ExitCode
from atm.models.outcome import RunStatus

if TYPE_CHECKING:
    from atm.models.control.runs import RunView
    from atm.models.run import RunResult


def judged_again(result: RunResult, *, strict: bool, no_fail: bool) -> RunResult:
    """The result with the exit code that these flags give it here; the server knew nothing of them."""
    verdict = result.verdict
    code = exit_code(
        result.run,
        passed=verdict.passed,
        measurement=verdict.measurement,
        unreachable=verdict.exit_code == ExitCode.UNREACHABLE,
        strict=strict,
        no_fail=no_fail,
    )
    return result.model_copy(update={"verdict": verdict.model_copy(update={"exit_code": int(code)})})


async def followed(history: History, run_id: str, output: Output, *, ours: bool) -> RunResult | None:
    """Watch a run to its end; its result, or None where whoever watched has left.

    Raises AtmError for a run that ended before it had measured anything.
    """
    run = await history.run(run_id)
    result = await history.result(run_id)
    if result is not None:
        return result
    watched = FollowedRun(history, run, output, ours=ours)
    await watched.follow()
    if watched.left:
        again = f"`atm watch {short_id(run_id)}`"
        output.err.lines([output.err.paper.line(" the run goes on: ", Style.DIM).hint(again)])
        return None
    result = await history.result(run_id)
    if result is None:
        raise nothing_measured(await history.run(run_id))
    return result


def nothing_measured(run: RunView) -> AtmError:
    """Why a run that has ended, or not yet, has no report."""
    shown = short_id(run.id)
    if run.status in (RunStatus.PENDING, RunStatus.RUNNING):
        what = f"run {shown} is {run.status}; its report comes with its end"
        return EngineError(Problem(what, "run_not_finished", hint=f"`atm watch {shown}`"))
    if run.status is RunStatus.CANCELLED:
        what = f"run {shown} was cancelled before it had measured anything"
        return EngineError(Problem(what, "no_result"))
    said = run.error_message or "nobody knows why"
    return EngineError(Problem(f"run {shown} failed before it had measured anything: {said}", "no_result"))
