"""Options of commands that send requests: the request, its credentials and its connections."""

from __future__ import annotations

from typing import Annotated, Any

import typer

COMMON = "Common options"
LOAD = "Load"
REQUEST = "Request"
LOCUSTFILES = "Locustfiles"
CREDENTIALS = "Credentials"
CONNECTIONS = "Connections"
RESULT = "Result"
"""Groups of options in the help."""


def _text(*names: str, metavar: str, help: str, group: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=group)


BaseUrlOption = Annotated[
    str | None,
    _text("--base-url", "--host", metavar="URL", help="URL that the URLs of the spec continue.", group=REQUEST),
]
HeaderOption = Annotated[
    list[str] | None,
    _text("-H", "--header", metavar="'NAME: VALUE'", help="Add a header; repeatable.", group=COMMON),
]
DataOption = Annotated[
    str | None, _text("-d", "--data", metavar="TEXT|@FILE", help="Request body; makes it a POST.", group=COMMON)
]
MethodOption = Annotated[str | None, _text("-X", "--method", metavar="NAME", help="GET, POST, …", group=REQUEST)]
JsonBodyOption = Annotated[
    str | None,
    _text("--json-body", metavar="JSON|@FILE", help="Request body, sent as JSON.", group=REQUEST),
]
FormOption = Annotated[
    list[str] | None,
    _text(
        "--form",
        metavar="NAME=VALUE",
        help="Field of a form; NAME=@FILE sends a file of this directory.",
        group=REQUEST,
    ),
]
TimeoutOption = Annotated[
    str | None, _text("-t", "--timeout", metavar="TIME", help="Time limit of a request.", group=REQUEST)
]
UserOption = Annotated[
    str | None,
    _text(
        "--user",
        metavar="NAME:PASSWORD",
        help="HTTP basic authentication. Other users of this machine can read it in the process list; not so "
        "@FILE, - (stdin) and '{{env:NAME}}' for the password.",
        group=CREDENTIALS,
    ),
]
BearerOption = Annotated[
    str | None,
    _text(
        "--bearer",
        metavar="TOKEN",
        help="Bearer token; or @FILE, -, '{{env:NAME}}', which keep it out of the process list.",
        group=CREDENTIALS,
    ),
]
Http2Option = Annotated[
    bool,
    typer.Option("--http2", help="Use HTTP/2; without TLS by prior knowledge.", rich_help_panel=CONNECTIONS),
]
NoKeepaliveOption = Annotated[
    bool,
    typer.Option("--no-keepalive", help="Open a new connection for each request.", rich_help_panel=CONNECTIONS),
]
RedirectsOption = Annotated[
    int | None,
    _text("--redirects", metavar="N", help="Follow up to N redirects per request.", group=CONNECTIONS),
]
ProxyOption = Annotated[
    str | None, _text("--proxy", metavar="URL", help="Send requests through an HTTP proxy.", group=CONNECTIONS)
]
CaOption = Annotated[
    str | None,
    _text("--ca", metavar="FILE", help="CA certificates to trust as well, as PEM.", group=CONNECTIONS),
]
CertOption = Annotated[
    str | None, _text("--cert", metavar="FILE", help="Client certificate, as PEM.", group=CONNECTIONS)
]
KeyOption = Annotated[
    str | None, _text("--key", metavar="FILE", help="Private key of the client certificate.", group=CONNECTIONS)
]
InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", help="Do not verify the target's certificate.", rich_help_panel=CONNECTIONS),
]
ConnectToOption = Annotated[
    list[str] | None,
    _text(
        "--connect-to",
        metavar="HOST:PORT:TO:PORT",
        help="Connect to another address than the URL's, as in curl.",
        group=CONNECTIONS,
    ),
]


def method_of(method: str | None, data: str | None, json_body: str | None, form: list[str] | None) -> str | None:
    """Return the method that the options ask for: that of `--method`, else POST with a body; None leaves the spec's."""
    has_body = data is not None or json_body is not None or bool(form)
    return method or ("POST" if has_body else None)
