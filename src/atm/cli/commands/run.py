"""`atm run`: run a load test from a spec or a URL; print the report, write files, set the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli import request_options as r
from atm.cli.options import (
    OPEN_CLUSTER_HELP,
    VARIABLE_HELP,
    ColorOption,
    DebugOption,
    JsonOption,
    NoHistoryOption,
)
from atm.cli.output import Color, Output
from atm.cli.specs import body_text, compile_document, document_of, is_folder, secret_text
from atm.plan.compile import CompiledTest
from atm.plan.overrides import Overrides

if TYPE_CHECKING:
    from atm.models.run import RunResult
    from atm.plan.document import SpecDocument

Texts = list[str] | None
Text = str | None


def command(
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC|URL|-",
            help="YAML, JSON or Python file, URL, folder, - for stdin; several run one by one.",
        ),
    ],
    rate: Annotated[
        float | None,
        typer.Option(
            "-r", "--rate", metavar="N", help="Requests per second, however slow the target.", rich_help_panel=r.COMMON
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "-c",
            "--concurrency",
            "--users",
            metavar="N",
            help="Virtual users; with --rate, most in flight.",
            rich_help_panel=r.COMMON,
        ),
    ] = None,
    duration: Annotated[
        Text,
        typer.Option(
            "-z", "--duration", metavar="TIME", help="Measure for this long: 30s, 5m.", rich_help_panel=r.COMMON
        ),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option("-n", "--requests", metavar="N", help="Stop after N requests.", rich_help_panel=r.COMMON),
    ] = None,
    threshold: Annotated[
        Texts,
        typer.Option(
            "--threshold", metavar="RULE", help="Fail unless: 'p99 < 300ms'; repeatable.", rich_help_panel=r.COMMON
        ),
    ] = None,
    header: r.HeaderOption = None,
    data: r.DataOption = None,
    var: Annotated[
        Texts, typer.Option("--var", metavar="NAME=VALUE", help=VARIABLE_HELP, rich_help_panel=r.COMMON)
    ] = None,
    output: Annotated[
        Texts,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write FILE.json, .csv, .html, .md or .pdf; repeatable.",
            rich_help_panel=r.COMMON,
        ),
    ] = None,
    stages: Annotated[
        Text,
        typer.Option(
            "--stages",
            metavar="LIST",
            help="Ramps as DURATION:TARGET, for example 30s:100,1m:500.",
            rich_help_panel=r.LOAD,
        ),
    ] = None,
    warm_up: Annotated[
        Text,
        typer.Option(
            "--warm-up",
            metavar="TIME",
            help="Warm up for this long first; excluded from all results.",
            rich_help_panel=r.LOAD,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Seed for reproducible random values.", rich_help_panel=r.LOAD),
    ] = None,
    engine: Annotated[
        Text,
        typer.Option("--engine", metavar="NAME", help="Engine: auto, native or asyncio.", rich_help_panel=r.LOAD),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="N",
            help="Send the load from N processes of this machine.",
            rich_help_panel=r.LOAD,
        ),
    ] = None,
    on: Annotated[
        Text,
        typer.Option(
            "--on",
            metavar="ADDRESS",
            help="Send the load from workers on a Ray cluster: ray://HOST:PORT, or ray:local.",
            rich_help_panel=r.LOAD,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Number of workers, each on a node of the cluster.",
            rich_help_panel=r.LOAD,
        ),
    ] = None,
    min_workers: Annotated[
        int | None,
        typer.Option(
            "--min-workers",
            metavar="N",
            help="Workers or processes that are enough to start.",
            rich_help_panel=r.LOAD,
        ),
    ] = None,
    on_loss: Annotated[
        Text,
        typer.Option(
            "--on-loss",
            metavar="NAME",
            help="If a worker is lost: abort, continue or reassign.",
            rich_help_panel=r.LOAD,
        ),
    ] = None,
    allow_open_cluster: Annotated[
        bool, typer.Option("--allow-open-cluster", help=OPEN_CLUSTER_HELP, rich_help_panel=r.LOAD)
    ] = False,
    base_url: r.BaseUrlOption = None,
    method: r.MethodOption = None,
    json_body: r.JsonBodyOption = None,
    form: r.FormOption = None,
    timeout: r.TimeoutOption = None,
    expect_status: Annotated[
        Texts,
        typer.Option(
            "--expect-status",
            metavar="CODE",
            help="Expected status: 200, 2xx, 200-204; repeatable.",
            rich_help_panel=r.REQUEST,
        ),
    ] = None,
    expect_body: Annotated[
        Text,
        typer.Option(
            "--expect-body",
            metavar="TEXT",
            help="Text that the response body must contain.",
            rich_help_panel=r.REQUEST,
        ),
    ] = None,
    user: r.UserOption = None,
    bearer: r.BearerOption = None,
    http2: r.Http2Option = False,
    no_keepalive: r.NoKeepaliveOption = False,
    redirects: r.RedirectsOption = None,
    proxy: r.ProxyOption = None,
    ca: r.CaOption = None,
    cert: r.CertOption = None,
    key: r.KeyOption = None,
    insecure: r.InsecureOption = False,
    connect_to: r.ConnectToOption = None,
    spawn_rate: Annotated[
        float | None,
        typer.Option("--spawn-rate", metavar="N", help="Start N users per second.", rich_help_panel=r.LOCUSTFILES),
    ] = None,
    tags: Annotated[
        Texts,
        typer.Option(
            "--tags", metavar="TAG", help="Run only tasks with this tag; repeatable.", rich_help_panel=r.LOCUSTFILES
        ),
    ] = None,
    exclude_tags: Annotated[
        Texts,
        typer.Option(
            "--exclude-tags", metavar="TAG", help="Skip tasks with this tag; repeatable.", rich_help_panel=r.LOCUSTFILES
        ),
    ] = None,
    junit: Annotated[
        Text,
        typer.Option("--junit", metavar="FILE", help="Write the verdicts as JUnit XML.", rich_help_panel=r.RESULT),
    ] = None,
    json: JsonOption = False,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="Print only the verdicts, without progress.", rich_help_panel=r.RESULT),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 4 for a suspect measurement, too.", rich_help_panel=r.RESULT),
    ] = False,
    no_fail: Annotated[
        bool, typer.Option("--no-fail", help="Exit with 0 instead of 99, 4 or 3.", rich_help_panel=r.RESULT)
    ] = False,
    no_history: NoHistoryOption = False,
    server: Annotated[
        Text,
        typer.Option(
            "--server",
            envvar="ATM_API_URL",
            metavar="URL",
            help="Run on this server; '' runs locally.",
            rich_help_panel=r.RESULT,
        ),
    ] = None,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Run a load test from a spec file or straight from a URL.

    Options override the spec. By default 10 users send 100 requests. Ctrl-C stops and reports, twice quits at once.
    Several specs run one after the other; of a folder, all its YAML files. Ctrl-C skips the rest. Files of -o get the
    name of each test.
    """
    from atm.cli.files import checked_outputs

    source = "-" if "-" in specs else specs[0]
    overrides = Overrides(
        base_url=base_url,
        requests=requests,
        concurrency=concurrency,
        rate=rate,
        duration=duration,
        stages=stages,
        warm_up=warm_up,
        method=r.method_of(method, data, json_body, form),
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
        min_workers=min_workers,
        on_loss=on_loss,
        allow_open_cluster=allow_open_cluster or None,
        insecure=insecure,
        connect_to=tuple(connect_to or ()),
        json_body=body_text(json_body, "--json-body"),
        form=tuple(form or ()),
        user=secret_text(user, "--user", source),
        bearer=secret_text(bearer, "--bearer", source),
        http2=http2,
        no_keepalive=no_keepalive,
        redirects=redirects,
        proxy=proxy,
        ca=ca,
        cert=cert,
        key=key,
        spawn_rate=spawn_rate,
        tags=tuple(tags or ()),
        exclude_tags=tuple(exclude_tags or ()),
    )
    shown = Output.of(color, json=json, quiet=quiet)
    if len(specs) > 1 or is_folder(specs[0]):
        from atm.cli.batch import BatchEntry, compiled, expanded, for_server, run_batch

        files = checked_outputs(output or (), None)
        checked_outputs((), junit)

        def execute(entry: BatchEntry) -> tuple[RunResult, bool]:
            if entry.test is None:
                return _run_there(entry.document, shown, server or "", strict=strict, no_fail=no_fail)
            return _run_here(entry.test, shown, strict=strict, no_fail=no_fail, history=not no_history)

        sources = expanded(specs)
        entries = for_server(sources, overrides) if server else compiled(sources, overrides)
        return run_batch(entries, shown, execute, Path(junit) if junit else None, files)
    files = checked_outputs(output or (), junit)
    with shown.code_prints():
        document = document_of(specs[0], overrides)
        if server:
            result, saved = _run_there(document, shown, server, strict=strict, no_fail=no_fail)
        else:
            test = compile_document(document)
            result, saved = _run_here(test, shown, strict=strict, no_fail=no_fail, history=not no_history)
    # Slow to import, and not needed before the first request.
    from atm.cli.run_output import finish

    return finish(result, shown, files, saved=saved)


def _run_here(
    test: CompiledTest, output: Output, *, strict: bool, no_fail: bool, history: bool
) -> tuple[RunResult, bool]:
    from atm.cli.local_run import run_locally

    if not output.quiet:
        for note in test.notes:
            output.note(note)
    return run_locally(test, output, strict=strict, no_fail=no_fail, history=history)


def _run_there(
    document: SpecDocument, output: Output, server: str, *, strict: bool, no_fail: bool
) -> tuple[RunResult, bool]:
    from atm.cli.remote_run import run_on_server

    return run_on_server(document, output, server, strict=strict, no_fail=no_fail), True
