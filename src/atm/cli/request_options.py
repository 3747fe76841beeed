"""Options that override a spec; the fields of the groups have the names of `Overrides`."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

import typer

from atm.cli.options import OPEN_CLUSTER_HELP
from atm.cli.specs import body_text, secret_text
from atm.dataclass import dataclass
from atm.parameter_groups import ParameterGroup
from atm.plan.document_change import FLAGS
from atm.plan.overrides import Overrides

COMMON = "Common options"
LOAD = "Load"
REQUEST = "Request"
CREDENTIALS = "Credentials"
CONNECTIONS = "Connections"
LOCUSTFILES = "Locustfiles"
RESULT = "Result"
"""Groups of options in the help."""

_Text = str | None
_Texts = list[str] | None


def _option(group: str, *names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=group)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    rate: Annotated[
        float | None,
        _option(COMMON, "-r", "--rate", metavar="N", help="Requests per second, however slow the target."),
    ] = None
    concurrency: Annotated[
        int | None,
        _option(
            COMMON, "-c", "--concurrency", "--users", metavar="N", help="Virtual users; with --rate, most in flight."
        ),
    ] = None
    duration: Annotated[
        _Text, _option(COMMON, "-z", "--duration", metavar="TIME", help="Measure for this long: 30s, 5m.")
    ] = None
    requests: Annotated[int | None, _option(COMMON, "-n", "--requests", metavar="N", help="Stop after N requests.")] = (
        None
    )
    thresholds: Annotated[
        _Texts, _option(COMMON, "--threshold", metavar="RULE", help="Fail unless: 'p99 < 300ms'; repeatable.")
    ] = None
    stages: Annotated[
        _Text,
        _option(LOAD, "--stages", metavar="LIST", help="Ramps as DURATION:TARGET, for example 30s:100,1m:500."),
    ] = None
    warm_up: Annotated[
        _Text,
        _option(LOAD, "--warm-up", metavar="TIME", help="Warm up for this long first; excluded from all results."),
    ] = None
    seed: Annotated[int | None, _option(LOAD, "--seed", metavar="N", help="Seed for reproducible random values.")] = (
        None
    )
    engine: Annotated[_Text, _option(LOAD, "--engine", metavar="NAME", help="Engine: auto, native or asyncio.")] = None
    processes: Annotated[
        int | None,
        _option(LOAD, "--processes", metavar="N", help="Send the load from N processes of this machine."),
    ] = None
    on: Annotated[
        _Text,
        _option(
            LOAD,
            "--on",
            metavar="ADDRESS",
            help="Send the load from workers on a Ray cluster: ray://HOST:PORT, or ray:local.",
        ),
    ] = None
    workers: Annotated[
        int | None,
        _option(LOAD, "--workers", metavar="N", help="Number of workers, each on a node of the cluster."),
    ] = None
    min_workers: Annotated[
        int | None,
        _option(LOAD, "--min-workers", metavar="N", help="Workers or processes that are enough to start."),
    ] = None
    on_loss: Annotated[
        _Text,
        _option(LOAD, "--on-loss", metavar="NAME", help="If a worker is lost: abort, continue or reassign."),
    ] = None
    allow_open_cluster: Annotated[bool, _option(LOAD, "--allow-open-cluster", help=OPEN_CLUSTER_HELP)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    headers: Annotated[
        _Texts, _option(COMMON, "-H", "--header", metavar="'NAME: VALUE'", help="Add a header; repeatable.")
    ] = None
    data: Annotated[
        _Text, _option(COMMON, "-d", "--data", metavar="TEXT|@FILE", help="Request body; makes it a POST.")
    ] = None
    variables: Annotated[
        _Texts, _option(COMMON, "--var", metavar="NAME=VALUE", help="Set a variable of the spec; repeatable.")
    ] = None
    base_url: Annotated[
        _Text,
        _option(REQUEST, "--base-url", "--host", metavar="URL", help="URL that the URLs of the spec continue."),
    ] = None
    method: Annotated[_Text, _option(REQUEST, "-X", "--method", metavar="NAME", help="GET, POST, …")] = None
    json_body: Annotated[
        _Text, _option(REQUEST, "--json-body", metavar="JSON|@FILE", help="Request body, sent as JSON.")
    ] = None
    form: Annotated[
        _Texts,
        _option(
            REQUEST,
            "--form",
            metavar="NAME=VALUE",
            help="Field of a form; NAME=@FILE sends a file of this directory.",
        ),
    ] = None
    timeout: Annotated[_Text, _option(REQUEST, "-t", "--timeout", metavar="TIME", help="Time limit of a request.")] = (
        None
    )
    user: Annotated[
        _Text,
        _option(
            CREDENTIALS,
            "--user",
            metavar="NAME:PASSWORD",
            help="HTTP basic authentication. Other users of this machine can read it in the process list; not so "
            "@FILE, - (stdin) and '{{env:NAME}}' for the password.",
        ),
    ] = None
    bearer: Annotated[
        _Text,
        _option(
            CREDENTIALS,
            "--bearer",
            metavar="TOKEN",
            help="Bearer token; or @FILE, -, '{{env:NAME}}', which keep it out of the process list.",
        ),
    ] = None
    http2: Annotated[bool, _option(CONNECTIONS, "--http2", help="Use HTTP/2; without TLS by prior knowledge.")] = False
    redirects: Annotated[
        int | None, _option(CONNECTIONS, "--redirects", metavar="N", help="Follow up to N redirects per request.")
    ] = None
    proxy: Annotated[
        _Text, _option(CONNECTIONS, "--proxy", metavar="URL", help="Send requests through an HTTP proxy.")
    ] = None
    ca: Annotated[
        _Text, _option(CONNECTIONS, "--ca", metavar="FILE", help="CA certificates to trust as well, as PEM.")
    ] = None
    cert: Annotated[_Text, _option(CONNECTIONS, "--cert", metavar="FILE", help="Client certificate, as PEM.")] = None
    key: Annotated[
        _Text, _option(CONNECTIONS, "--key", metavar="FILE", help="Private key of the client certificate.")
    ] = None
    insecure: Annotated[bool, _option(CONNECTIONS, "--insecure", help="Do not verify the target's certificate.")] = (
        False
    )
    connect_to: Annotated[
        _Texts,
        _option(
            CONNECTIONS,
            "--connect-to",
            metavar="HOST:PORT:TO:PORT",
            help="Connect to another address than the URL's, as in curl.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    expect_status: Annotated[
        _Texts,
        _option(REQUEST, "--expect-status", metavar="CODE", help="Expected status: 200, 2xx, 200-204; repeatable."),
    ] = None
    expect_body: Annotated[
        _Text, _option(REQUEST, "--expect-body", metavar="TEXT", help="Text that the response body must contain.")
    ] = None
    no_keepalive: Annotated[
        bool, _option(CONNECTIONS, "--no-keepalive", help="Open a new connection for each request.")
    ] = False
    spawn_rate: Annotated[
        float | None, _option(LOCUSTFILES, "--spawn-rate", metavar="N", help="Start N users per second.")
    ] = None
    tags: Annotated[
        _Texts, _option(LOCUSTFILES, "--tags", metavar="TAG", help="Run only tasks with this tag; repeatable.")
    ] = None
    exclude_tags: Annotated[
        _Texts, _option(LOCUSTFILES, "--exclude-tags", metavar="TAG", help="Skip tasks with this tag; repeatable.")
    ] = None


LoadOptions = Annotated[_Load, ParameterGroup(_Load)]
"""How much load `atm run` sends, and from where."""
RequestOptions = Annotated[_Request, ParameterGroup(_Request)]
"""What each request sends, for all commands that send the requests of a spec."""
RunOptions = Annotated[_Run, ParameterGroup(_Run)]
"""What a response must be, and which tasks run; of `atm run` only."""


def overrides_of(source: str, *groups: _Load | _Request | _Run) -> Overrides:
    """Return what the options change in a spec; files that they name are read, and a body makes the method POST.

    `source` is the command's argument: stdin cannot be both the spec and a secret. Raises SpecError.
    """
    given: dict[str, Any] = {}
    for group in groups:
        for field in fields(group):
            value = getattr(group, field.name)
            value = tuple(value) if isinstance(value, list) else value
            if value not in (None, ()) and value is not False:
                given[field.name] = value
    if any(name in given for name in ("data", "json_body", "form")):
        given["method"] = given.get("method") or "POST"
    for name in ("data", "json_body"):
        given[name] = body_text(given.get(name), FLAGS[name])
    for name in ("user", "bearer"):
        given[name] = secret_text(given.get(name), FLAGS[name], source)
    return Overrides(**given)
