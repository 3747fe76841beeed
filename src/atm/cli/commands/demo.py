"""`atm demo`: run the quickstart test against the bundled target server."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, NoHistoryOption
from atm.cli.output import Color, Output
from atm.cli.text import Style
from atm.models.exit_code import ExitCode


def command(
    json: JsonOption = False,
    output: Annotated[
        list[str] | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write FILE.json, .csv, .html, .md or .pdf; repeatable."),
    ] = None,
    no_history: NoHistoryOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Run the quickstart test against the bundled target server.

    Starts the target on a free port of this machine, sends it 150 requests per second for ten seconds, prints the
    report and stops the target.
    """
    from atm.cli.files import checked_outputs
    from atm.cli.local_run import run_locally
    from atm.cli.run_output import finish
    from atm.cli.specs import compile_source
    from atm.plan.overrides import Overrides
    from atm.testing import TargetServer

    outputs = checked_outputs(output or (), None)
    shown = Output.of(color, json=json)
    paper = shown.err.paper
    with TargetServer() as target, as_file(files("atm.testing") / "quickstart.yaml") as spec:
        shown.err.lines([paper.line(f" atm target on {target.url}, {spec.name} against it", Style.DIM), paper.line()])
        test = compile_source(str(spec), Overrides(variables=(f"base={target.url}",)))
        # On a busy machine the measurement may be invalid. The report says so, but the demo must not fail for it.
        result, saved = run_locally(test, shown, no_fail=True, history=not no_history)
    code = finish(result, shown, outputs, saved=saved)
    if code == ExitCode.PASSED and not json:
        next_steps = "`atm init` writes a starter spec; `atm run URL --rate 50 --duration 10s` needs none"
        shown.err.lines([paper.line(), paper.line(" next: ", Style.DIM).hint(next_steps)])
    return code
