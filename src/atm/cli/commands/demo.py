"""`atm demo`: run the quickstart test against the bundled target server."""

from __future__ import annotations

from importlib.resources import as_file, files

from atm.cli.options import FilesOption, NoHistoryOption, OutputOptions
from atm.cli.text import Style
from atm.models.exit_code import ExitCode


def command(
    file_names: FilesOption = None,
    no_history: NoHistoryOption = False,
    *,
    output: OutputOptions,
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

    outputs = checked_outputs(file_names or (), None)
    paper = output.err.paper
    with TargetServer() as target, as_file(files("atm.testing") / "quickstart.yaml") as spec:
        output.err.lines([paper.line(f" atm target on {target.url}, {spec.name} against it", Style.DIM), paper.line()])
        test = compile_source(str(spec), Overrides(variables=(f"base={target.url}",)))
        # On a busy machine the measurement may be invalid. The report says so, but the demo must not fail for it.
        result, saved = run_locally(test, output, no_fail=True, history=not no_history)
    code = finish(result, output, outputs, saved=saved)
    if code == ExitCode.PASSED and not output.json:
        next_steps = "`atm init` writes a starter spec; `atm run URL --rate 50 --duration 10s` needs none"
        output.err.lines([paper.line(), paper.line(" next: ", Style.DIM).hint(next_steps)])
    return code
