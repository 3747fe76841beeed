"""`atm run`: a load test from a spec or a URL to its report, its files and its exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, NoHistoryOption, VariableOption
from atm.cli.output import Color, Output
from atm.cli.specs import body_text, compile_document, document_of
from atm.plan.overrides import Overrides

Texts = list[str] | None
Text = str | None


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC|URL|-", help="A YAML or JSON file, a URL, or - for stdin.")],
    requests: Annotated[
        int | None, typer.Option("-n", "--requests", metavar="N", help="Stop after so many requests.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "-c", "--concurrency", "--users", metavar="N", help="Virtual users; with a rate the most in flight."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("-r", "--rate", metavar="N", help="Start so many requests per second, whatever the target does."),
    ] = None,
    duration: Annotated[
        Text, typer.Option("-z", "--duration", metavar="TIME", help="Measure for so long: 30s, 5m.")
    ] = None,
    stages: Annotated[
        Text, typer.Option("--stages", metavar="LIST", help="Ramps, as 30s:100,1m:500 (how long : up to what).")
    ] = None,
    warm_up: Annotated[
        Text, typer.Option("--warm-up", metavar="TIME", help="Send load for so long first, in no figure.")
    ] = None,
    method: Annotated[Text, typer.Option("-X", "--method", metavar="NAME", help="GET, POST, …")] = None,
    header: Annotated[
        Texts, typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="Add a header; several times.")
    ] = None,
    data: Annotated[Text, typer.Option("-d", "--data", metavar="TEXT|@FILE", help="The body to send.")] = None,
    timeout: Annotated[
        Text, typer.Option("-t", "--timeout", metavar="TIME", help="Give a request up after so long.")
    ] = None,
    expect_status: Annotated[
        Texts, typer.Option("--expect-status", metavar="CODE", help="What is ok: 200, 2xx, 200-204; several times.")
    ] = None,
    expect_body: Annotated[
        Text, typer.Option("--expect-body", metavar="TEXT", help="What the body of an ok answer holds.")
    ] = None,
    threshold: Annotated[
        Texts, typer.Option("--threshold", metavar="RULE", help="What must hold: 'p99 < 300ms'; several times.")
    ] = None,
    var: VariableOption = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Makes random values repeatable.")] = None,
    engine: Annotated[Text, typer.Option("--engine", metavar="NAME", help="auto, native or asyncio.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the target's certificate.")] = False,
    connect_to: Annotated[
        Texts,
        typer.Option(
            "--connect-to", metavar="HOST:PORT:TO:PORT", help="Dial elsewhere than the URL says, as curl does."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 for a suspect measurement too.")] = False,
    no_fail: Annotated[bool, typer.Option("--no-fail", help="Exit 0 where it would be 99, 4 or 3.")] = False,
    server: Annotated[
        Text,
        typer.Option("--server", envvar="ATM_API_URL", metavar="URL", help="Run it on this server; '' runs it here."),
    ] = None,
    no_history: NoHistoryOption = False,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print the verdicts only, and no progress.")] = False,
    output: Annotated[
        Texts, typer.Option("-o", "--output", metavar="FILE", help="Write FILE.json, .csv or .html; several times.")
    ] = None,
    junit: Annotated[Text, typer.Option("--junit", metavar="FILE", help="Write the verdicts as JUnit XML.")] = None,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Run a load test from a spec file or straight from a URL.

    Flags override what the spec says. Without an end it sends 100 requests with 10 users. The first Ctrl-C stops and
    reports, a second one quits at once.
    """
    from atm.cli.files import checked_outputs

    files = checked_outputs(output or (), junit)
    document = document_of(
        spec,
        Overrides(
            requests=requests,
            concurrency=concurrency,
            rate=rate,
            duration=duration,
            stages=stages,
            warm_up=warm_up,
            method=method or ("POST" if data is not None else None),
            headers=tuple(header or ()),
            data=body_text(data),
            timeout=timeout,
            expect_status=tuple(expect_status or ()),
            expect_body=expect_body,
            thresholds=tuple(threshold or ()),
            variables=tuple(var or ()),
            seed=seed,
            engine=engine,
            insecure=insecure,
            connect_to=tuple(connect_to or ()),
        ),
    )
    shown = Output.of(color, json=json, quiet=quiet)
    if server:
        from atm.cli.remote_run import run_there

        result, saved = run_there(document, shown, server, strict=strict, no_fail=no_fail), True
    else:
        from atm.cli.local_run import run_and_keep

        test = compile_document(document)
        if not quiet:
            for note in test.notes:
                shown.note(note)
        result, saved = run_and_keep(test, shown, strict=strict, no_fail=no_fail, history=not no_history)

    from atm.cli.run_output import finish

    return finish(result, shown, files, saved=saved)
