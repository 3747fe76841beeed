"""`atm run`: run a load test from a spec or a URL; print the report, write files, set the exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from atm.cli.options import (
    AllowOpenClusterOption,
    ColorOption,
    DebugOption,
    JsonOption,
    NoHistoryOption,
    VariableOption,
)
from atm.cli.output import Color, Output
from atm.cli.specs import body_text, compile_document, document_of
from atm.plan.overrides import Overrides

Texts = list[str] | None
Text = str | None


def command(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC|URL|-", help="A YAML, JSON or Python file, a URL, or - for stdin.")
    ],
    base_url: Annotated[
        Text, typer.Option("--base-url", "--host", metavar="URL", help="URL that the URLs of the spec continue.")
    ] = None,
    requests: Annotated[
        int | None, typer.Option("-n", "--requests", metavar="N", help="Stop after N requests.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "-c",
            "--concurrency",
            "--users",
            metavar="N",
            help="Virtual users; with --rate, the most requests in flight.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "-r", "--rate", metavar="N", help="Start N requests per second, however slowly the target responds."
        ),
    ] = None,
    duration: Annotated[
        Text, typer.Option("-z", "--duration", metavar="TIME", help="Measure for this long: 30s, 5m.")
    ] = None,
    spawn_rate: Annotated[
        float | None, typer.Option("--spawn-rate", metavar="N", help="Locustfiles: start N users per second.")
    ] = None,
    tags: Annotated[
        Texts, typer.Option("--tags", metavar="TAG", help="Locustfiles: run only tasks with this tag; repeatable.")
    ] = None,
    exclude_tags: Annotated[
        Texts,
        typer.Option("--exclude-tags", metavar="TAG", help="Locustfiles: skip tasks with this tag; repeatable."),
    ] = None,
    stages: Annotated[
        Text, typer.Option("--stages", metavar="LIST", help="Ramps as DURATION:TARGET, for example 30s:100,1m:500.")
    ] = None,
    warm_up: Annotated[
        Text, typer.Option("--warm-up", metavar="TIME", help="Warm up for this long first; excluded from all results.")
    ] = None,
    method: Annotated[Text, typer.Option("-X", "--method", metavar="NAME", help="GET, POST, …")] = None,
    header: Annotated[
        Texts, typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="Add a header; repeatable.")
    ] = None,
    data: Annotated[Text, typer.Option("-d", "--data", metavar="TEXT|@FILE", help="Request body.")] = None,
    timeout: Annotated[Text, typer.Option("-t", "--timeout", metavar="TIME", help="Time limit of a request.")] = None,
    expect_status: Annotated[
        Texts, typer.Option("--expect-status", metavar="CODE", help="Expected status: 200, 2xx, 200-204; repeatable.")
    ] = None,
    expect_body: Annotated[
        Text, typer.Option("--expect-body", metavar="TEXT", help="Text that the response body must contain.")
    ] = None,
    threshold: Annotated[
        Texts, typer.Option("--threshold", metavar="RULE", help="Threshold to pass: 'p99 < 300ms'; repeatable.")
    ] = None,
    var: VariableOption = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Seed for reproducible random values.")
    ] = None,
    engine: Annotated[Text, typer.Option("--engine", metavar="NAME", help="Engine: auto, native or asyncio.")] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", metavar="N", help="Send the load from N processes of this machine."),
    ] = None,
    on: Annotated[
        Text,
        typer.Option(
            "--on",
            metavar="ADDRESS",
            help="Send the load from workers on a Ray cluster: ray://HOST:PORT, or ray:local.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Number of workers, each on a node of the cluster.")
    ] = None,
    allow_open_cluster: AllowOpenClusterOption = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not verify the target's certificate.")] = False,
    connect_to: Annotated[
        Texts,
        typer.Option(
            "--connect-to", metavar="HOST:PORT:TO:PORT", help="Connect to another address than the URL's, as in curl."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 for a suspect measurement, too.")] = False,
    no_fail: Annotated[bool, typer.Option("--no-fail", help="Exit with 0 instead of 99, 4 or 3.")] = False,
    server: Annotated[
        Text,
        typer.Option("--server", envvar="ATM_API_URL", metavar="URL", help="Run on this server; '' runs locally."),
    ] = None,
    no_history: NoHistoryOption = False,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print only the verdicts, without progress.")] = False,
    output: Annotated[
        Texts, typer.Option("-o", "--output", metavar="FILE", help="Write FILE.json, .csv or .html; repeatable.")
    ] = None,
    junit: Annotated[Text, typer.Option("--junit", metavar="FILE", help="Write the verdicts as JUnit XML.")] = None,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Run a load test from a spec file or straight from a URL.

    Options override the spec. Without a duration or a number of requests, 10 users send 100 requests. The first Ctrl-C
    stops the run and prints the report; a second one quits at once.
    """
    from atm.cli.files import checked_outputs

    files = checked_outputs(output or (), junit)
    overrides = Overrides(
        base_url=base_url,
        requests=requests,
        concurrency=concurrency,
        rate=rate,
        spawn_rate=spawn_rate,
        tags=tuple(tags or ()),
        exclude_tags=tuple(exclude_tags or ()),
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
        processes=processes,
        on=on,
        workers=workers,
        allow_open_cluster=allow_open_cluster or None,
        insecure=insecure,
        connect_to=tuple(connect_to or ()),
    )
    shown = Output.of(color, json=json, quiet=quiet)
    with shown.code_prints():
        document = document_of(spec, overrides)
        if server:
            from atm.cli.remote_run import run_on_server

            result, saved = run_on_server(document, shown, server, strict=strict, no_fail=no_fail), True
        else:
            from atm.cli.local_run import run_locally

            test = compile_document(document)
            if not quiet:
                for note in test.notes:
                    shown.note(note)
            result, saved = run_locally(test, shown, strict=strict, no_fail=no_fail, history=not no_history)

    from atm.cli.run_output import finish

    return finish(result, shown, files, saved=saved)
