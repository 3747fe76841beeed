"""What each option of curl does to the request.

Options have the meaning given in curl's manual (`man curl`). An option that affects the request but cannot be expressed
in a spec is noted; options about curl's output are ignored silently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atm.importers.curl_options import Option
from atm.importers.curl_request import CurlRequest, refused_file

_SCHEMES = frozenset({"digest", "ntlm", "ntlm-wb", "negotiate", "anyauth", "aws-sigv4"})


def apply(options: list[Option], request: CurlRequest) -> None:
    """Apply the options in order. Raises SpecError for an invalid value."""
    for option, value in options:
        effect = EFFECTS.get(option)
        if effect is not None:
            effect(request, value)
        elif option not in QUIET and option.removeprefix("no-") not in QUIET:
            request.notes.append(f"--{option} is ignored: {WHY.get(option, 'it has no counterpart in a load test')}")


def _noted(why: str) -> Callable[[CurlRequest, str], None]:
    def note(request: CurlRequest, value: str) -> None:
        request.notes.append(why.format(value=value[:60]))

    return note


def _set(name: str, value: Any) -> Callable[[CurlRequest, str], None]:
    def assign(request: CurlRequest, _value: str) -> None:
        setattr(request, name, value)

    return assign


def _take(name: str) -> Callable[[CurlRequest, str], None]:
    def assign(request: CurlRequest, value: str) -> None:
        setattr(request, name, value)

    return assign


def _set_shared(name: str, value: Any) -> Callable[[CurlRequest, str], None]:
    def assign(request: CurlRequest, _value: str) -> None:
        request.shared[name] = value

    return assign


def _header(name: str) -> Callable[[CurlRequest, str], None]:
    return lambda request, value: request.set_header(name, value)


def _tls(name: str) -> Callable[[CurlRequest, str], None]:
    return lambda request, value: request.tls.__setitem__(name, value or True)


def _refuse_file(option: str) -> Callable[[CurlRequest, str], None]:
    def refuse(_request: CurlRequest, value: str) -> None:
        raise refused_file(option, value)

    return refuse


def _location_trusted(request: CurlRequest, _value: str) -> None:
    request.follow = True
    request.notes.append("--location-trusted: redirects are followed, but credentials are not sent to another host")


def _compressed(request: CurlRequest, _value: str) -> None:
    request.headers.setdefault("accept-encoding", ("Accept-Encoding", ["gzip, deflate"]))


EFFECTS: dict[str, Callable[[CurlRequest, str], None]] = {
    "url": lambda request, value: request.urls.append(value),
    "request": lambda request, value: setattr(request, "method", value.upper()),
    "header": CurlRequest.header,
    "data": CurlRequest.add_data,
    "data-ascii": CurlRequest.add_data,
    "data-binary": CurlRequest.add_binary,
    "data-raw": CurlRequest.add_raw,
    "data-urlencode": CurlRequest.add_encoded,
    "json": CurlRequest.add_json,
    "form": CurlRequest.add_form,
    "form-string": CurlRequest.add_form_string,
    "url-query": CurlRequest.add_query,
    "get": _set("in_query", True),
    "no-get": _set("in_query", False),
    "head": _set("head_only", True),
    "no-head": _set("head_only", False),
    "globoff": _set("globs", False),
    "proto-default": _take("scheme"),
    "user": _take("user"),
    "oauth2-bearer": _take("bearer"),
    "basic": _set("other_auth", ""),
    **{scheme: _set("other_auth", scheme) for scheme in sorted(_SCHEMES)},
    "user-agent": _header("User-Agent"),
    "referer": lambda request, value: request.set_header("Referer", value.removesuffix(";auto")),
    "range": lambda request, value: request.set_header("Range", f"bytes={value}"),
    "cookie": CurlRequest.cookie,
    "compressed": _compressed,
    "insecure": _tls("insecure"),
    "no-insecure": lambda request, _value: request.tls.pop("insecure", None),
    "cacert": _tls("ca"),
    "cert": CurlRequest.client_certificate,
    "cert-type": CurlRequest.certificate_type,
    "key": _tls("key"),
    "key-type": CurlRequest.certificate_type,
    "proxy": CurlRequest.set_proxy,
    "proxy-user": CurlRequest.proxy_user,
    "resolve": CurlRequest.resolve,
    "connect-to": lambda request, value: request.shared.setdefault("connect_to", []).append(value),
    "interface": CurlRequest.interface,
    "max-time": CurlRequest.max_time,
    "location": _set("follow", True),
    "follow": _set("follow", True),
    "no-location": _set("follow", False),
    "location-trusted": _location_trusted,
    "max-redirs": CurlRequest.redirects,
    "http2": _set_shared("http_version", "auto"),
    "http2-prior-knowledge": _set_shared("http_version", "2"),
    "http1.1": _set_shared("http_version", "1.1"),
    "upload-file": _refuse_file("-T"),
    "config": _refuse_file("-K"),
    **{
        option: _noted(
            f"--{option} {{value}} is ignored, so requests go directly to the target: no support for SOCKS proxies"
        )
        for option in ("socks4", "socks4a", "socks5", "socks5-hostname", "preproxy")
    },
}

QUIET = frozenset(
    [
        *("compressed-ssh", "cookie-jar", "create-dirs", "create-file-mode", "disable", "dump-ca-embed", "dump-header"),
        *("fail", "fail-early", "fail-with-body", "include", "junk-session-cookies", "libcurl", "buffer"),
        *("clobber", "progress-meter", "no-buffer", "no-clobber", "no-progress-meter", "out-null", "output"),
        *("output-dir", "progress-bar", "remote-header-name", "remote-name", "remote-name-all", "remote-time"),
        *("remove-on-error", "show-error", "silent", "skip-existing", "stderr", "styled-output"),
        *("suppress-connect-headers", "trace", "trace-ascii", "trace-config", "trace-ids", "trace-time", "verbose"),
        *("write-out", "xattr"),
    ]
)
"""Options about curl's output, safe to ignore."""

WHY = {
    "connect-timeout": "the timeout of a request covers its connection",
    **dict.fromkeys(
        ("retry", "retry-all-errors", "retry-connrefused", "retry-delay", "retry-max-time"),
        "a load test counts failures instead of hiding them",
    ),
    "limit-rate": "bodies are read as fast as possible",
    **dict.fromkeys(("netrc", "netrc-file", "netrc-optional"), "files with credentials are not read"),
    **dict.fromkeys(("http3", "http3-only"), "HTTP/3 is not supported"),
    **dict.fromkeys(("http0.9", "http1.0"), "requests are sent as HTTP/1.1"),
    **dict.fromkeys(("ipv4", "ipv6"), "addresses are used as the name resolves"),
    **dict.fromkeys(("unix-socket", "abstract-unix-socket"), "targets are connected over TCP"),
    **dict.fromkeys(("parallel", "parallel-max", "parallel-immediate", "rate"), "the load sets concurrency and rate"),
    **dict.fromkeys(("variable", "manual", "help", "version"), "it sends nothing"),
    "request-target": "the request line follows from the URL",
    "time-cond": "set the header If-Modified-Since",
    "proxy-header": "separate proxy headers are not supported",
    "pass": "remove the passphrase from the key (PEM)",
}
