"""A curl command line as a spec: every option that matters for a request, and a word on each that does not.

The options and their spellings are those of curl's own manual (curl.se/docs/manpage.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from atm.errors import SpecError
from atm.importers.curl_options import QUIET, options
from atm.importers.shell_words import split_words, wrong_command

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class ImportedSpec:
    """A spec, and what was left out of it and why."""

    spec: dict[str, Any]
    notes: tuple[str, ...] = ()


def import_curl(command: str, *, name: str | None = None) -> ImportedSpec:
    """The spec of one curl command line, as it is pasted from a shell, a browser or a documentation.

    Raises SpecError where it is no curl command, names no URL, or reads files that are not here.
    """
    words = [word for word in split_words(command) if word != "$"]
    if not words or not re.fullmatch(r"(.*[\\/])?curl(\.exe)?", words[0]):
        first = words[0][:40] if words else ""
        raise wrong_command(f"this is no curl command: it begins with {first!r}", "not_curl", "Paste it from `curl` on")
    found = _Request()
    for option, value in options(words[1:]):
        found.take(option, value)
    return found.spec(name)


@dataclass(slots=True)
class _Request:
    """What a command line asks for, as far as it was read."""

    urls: list[str] = field(default_factory=list)
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    as_query: list[str] = field(default_factory=list)
    in_query: bool = False
    head_only: bool = False
    content_type: str = ""
    spec_fields: dict[str, Any] = field(default_factory=dict)
    tls: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    follow: bool = False
    max_redirects: int = 50

    def take(self, option: str, value: str) -> None:
        """Take one option."""
        handler = _HANDLERS.get(option)
        if handler is not None:
            handler(self, value)
        elif option not in QUIET:
            shown = f"--{option}" if len(option) > 1 else f"-{option}"
            self.notes.append(f"{shown} is left out: {_WHY.get(option, 'it has no counterpart in a load test')}")

    def header(self, line: str) -> None:
        """`Name: value`; `Name:` takes one of curl's own away, `Name;` sends an empty one."""
        if line.startswith("@"):
            raise _file("-H", line)
        name, colon, value = line.partition(":")
        if not colon and line.endswith(";"):
            name, value = line[:-1], ""
        elif not value.strip():
            return
        lowered = name.strip().lower()
        if lowered == "content-length":
            self.notes.append("the header Content-Length is left out: it follows from the body")
        elif lowered == "accept-encoding":
            self.set_header("Accept-Encoding", value.strip())
        else:
            self.set_header(name.strip(), value.strip())

    def set_header(self, name: str, value: str) -> None:
        """One header of a name, whatever its capitals."""
        for known in [each for each in self.headers if each.lower() == name.lower()]:
            if name.lower() == "cookie":
                value = f"{self.headers[known]}; {value}"
            del self.headers[known]
        self.headers[name] = value

    def add_data(self, value: str) -> None:
        """-d and --data-ascii: files lose their line feeds, but files are not here."""
        if value.startswith("@"):
            raise _file("-d", value)
        self.data.append(value)

    def add_raw(self, value: str) -> None:
        """--data-raw: @ means nothing."""
        self.data.append(value)

    def add_encoded(self, value: str) -> None:
        """--data-urlencode: `content`, `=content`, `name=content`."""
        name, equals, content = value.partition("=")
        if "@" in (name if equals else value):
            raise _file("--data-urlencode", value)
        if not equals:
            name, content = "", value
        self.data.append(f"{name}={quote(content, safe='')}" if name else quote(content, safe=""))

    def add_json(self, value: str) -> None:
        """--json: data, and the two headers that go with it."""
        if value.startswith("@"):
            raise _file("--json", value)
        self.data.append(value)
        self.content_type = "application/json"
        self.headers.setdefault("Accept", "application/json")

    def user(self, value: str) -> None:
        """-u name:password."""
        name, _, password = value.partition(":")
        self.spec_fields["auth"] = {"type": "basic", "username": name, "password": password}

    def bearer(self, value: str) -> None:
        """--oauth2-bearer."""
        self.spec_fields["auth"] = {"type": "bearer_token", "token": value}

    def compressed(self, _value: str) -> None:
        """--compressed."""
        self.headers.setdefault("Accept-Encoding", "gzip, deflate")

    def cookie(self, value: str) -> None:
        """-b: `name=value`, or a file, which is not here."""
        if "=" not in value:
            raise _file("-b", value)
        self.set_header("Cookie", value)

    def proxy(self, value: str) -> None:
        """-x [http://][user:password@]host[:port], port 1080 by default."""
        text = value if "://" in value else f"http://{value}"
        parts = urlsplit(text)
        if parts.scheme != "http":
            self.notes.append(f"--proxy is left out: {parts.scheme} proxies are not spoken to")
            return
        has_port = re.search(r":\d+$", parts.netloc)
        self.spec_fields["proxy"] = f"http://{parts.netloc}{'' if has_port else ':1080'}"

    def proxy_user(self, value: str) -> None:
        """-U name:password."""
        proxy = self.spec_fields.get("proxy")
        if proxy is None:
            self.notes.append("--proxy-user is left out: no --proxy comes before it")
            return
        name, _, password = value.partition(":")
        user = f"{quote(name, safe='')}:{quote(password, safe='')}"
        self.spec_fields["proxy"] = str(proxy).replace("http://", f"http://{user}@", 1)

    def resolve(self, value: str) -> None:
        """--resolve [+]HOST:PORT:ADDRESS[,…]."""
        match = re.fullmatch(r"\+?([^:]+):(\d+):(\[[^\]]+\]|[^,]+)(,.*)?", value)
        if not match:
            self.notes.append(f"--resolve {value} is left out: it could not be read")
            return
        host, port, address, more = match.groups()
        self.spec_fields.setdefault("connect_to", []).append(f"{host}:{port}:{address}:{port}")
        if more:
            self.notes.append("--resolve: only its first address is used")

    def seconds(self, value: str) -> None:
        """-m: the whole request."""
        try:
            self.spec_fields["timeout"] = float(value)
        except ValueError:
            raise wrong_command(f"--max-time {value} is no number of seconds", "bad_value") from None

    def redirects(self, value: str) -> None:
        """--max-redirs; -1 is no limit, and 50 is ours."""
        try:
            number = int(value)
        except ValueError:
            raise wrong_command(f"--max-redirs {value} is no number", "bad_value") from None
        self.max_redirects = 50 if number < 0 else min(number, 50)

    def spec(self, name: str | None) -> ImportedSpec:
        """The spec of what was read. Raises SpecError without a URL."""
        if not self.urls:
            raise wrong_command("the command names no URL", "no_url", "Add it: `curl https://api.example.com/`")
        if len(self.urls) > 1:
            self.notes.append(f"only the first of {len(self.urls)} URLs is used")
        url = self._url()
        method = self._method()
        spec: dict[str, Any] = {"name": name or f"{method} {urlsplit(url).netloc or url}"[:256], "url": url}
        if method != "GET":
            spec["method"] = method
        self._add_body(spec)
        if self.headers:
            spec["headers"] = {name: _plain(value) for name, value in self.headers.items()}
        if self.follow and self.max_redirects:
            spec["redirects"] = self.max_redirects
        if self.tls:
            spec["tls"] = self.tls
        spec.update(self.spec_fields)
        return ImportedSpec(spec, tuple(dict.fromkeys(self.notes)))

    def _url(self) -> str:
        url = self.urls[0] if "://" in self.urls[0] else f"http://{self.urls[0]}"
        query = [*self.as_query, *(self.data if self.in_query else ())]
        if query:
            head, hash_mark, fragment = url.partition("#")
            url = f"{head}{'&' if '?' in head else '?'}{'&'.join(query)}{hash_mark}{fragment}"
        return _plain(url)

    def _method(self) -> str:
        if self.method:
            return self.method
        if self.head_only:
            return "HEAD"
        return "POST" if self.data and not self.in_query else "GET"

    def _add_body(self, spec: dict[str, Any]) -> None:
        if not self.data or self.in_query:
            return
        spec["body"] = _plain(("" if self.content_type else "&").join(self.data))
        if not any(name.lower() == "content-type" for name in self.headers):
            self.headers["Content-Type"] = self.content_type or _FORM


def _plain(text: str) -> str:
    """Text that a spec takes literally: two braces would begin a variable."""
    return text.replace("{{", r"\{{")


def _file(option: str, value: str) -> SpecError:
    what = f"{option} {value[:60]} reads a file, which is not here"
    return wrong_command(what, "file_not_allowed", "Put what is in the file into the command")


def _noted(why: str) -> Callable[[_Request, str], None]:
    def note(request: _Request, value: str) -> None:
        request.notes.append(why.format(value=value))

    return note


def _set(name: str, value: Any) -> Callable[[_Request, str], None]:
    def assign(request: _Request, _value: str) -> None:
        setattr(request, name, value)

    return assign


def _set_field(name: str, value: Any) -> Callable[[_Request, str], None]:
    def assign(request: _Request, _value: str) -> None:
        request.spec_fields[name] = value

    return assign


def _header(name: str) -> Callable[[_Request, str], None]:
    return lambda request, value: request.set_header(name, value)


def _tls(name: str) -> Callable[[_Request, str], None]:
    return lambda request, value: request.tls.__setitem__(name, value or True)


_HANDLERS: dict[str, Callable[[_Request, str], None]] = {
    "url": lambda request, value: request.urls.append(value),
    "request": lambda request, value: setattr(request, "method", value.upper()),
    "header": _Request.header,
    "data": _Request.add_data,
    "data-ascii": _Request.add_data,
    "data-binary": _Request.add_data,
    "data-raw": _Request.add_raw,
    "data-urlencode": _Request.add_encoded,
    "json": _Request.add_json,
    "url-query": lambda request, value: request.as_query.append(value.removeprefix("+")),
    "get": _set("in_query", True),
    "head": _set("head_only", True),
    "user": _Request.user,
    "oauth2-bearer": _Request.bearer,
    "user-agent": _header("User-Agent"),
    "referer": _header("Referer"),
    "range": lambda request, value: request.set_header("Range", f"bytes={value}"),
    "cookie": _Request.cookie,
    "compressed": _Request.compressed,
    "insecure": _tls("insecure"),
    "cacert": _tls("ca"),
    "cert": lambda request, value: request.tls.__setitem__("cert", value.partition(":")[0]),
    "key": _tls("key"),
    "proxy": _Request.proxy,
    "proxy-user": _Request.proxy_user,
    "resolve": _Request.resolve,
    "connect-to": lambda request, value: request.spec_fields.setdefault("connect_to", []).append(value),
    "max-time": _Request.seconds,
    "location": _set("follow", True),
    "max-redirs": _Request.redirects,
    "http2": _set_field("http_version", "auto"),
    "http2-prior-knowledge": _set_field("http_version", "2"),
    "http1.1": _set_field("http_version", "1.1"),
    "location-trusted": _noted("--location-trusted: redirects are left out, as credentials are never sent to others"),
    "form": _noted("-F {value} is left out: multipart bodies are not built; send the body itself with --data-binary"),
    "form-string": _noted("--form-string {value} is left out: multipart bodies are not built"),
    "upload-file": lambda _request, value: _raise(_file("-T", value)),
    "config": lambda _request, value: _raise(_file("-K", value)),
}

_WHY = {
    "connect-timeout": "the timeout of a request covers its connection",
    "retry": "a load test counts failures, it does not hide them",
    "retry-delay": "a load test counts failures, it does not hide them",
    "retry-max-time": "a load test counts failures, it does not hide them",
    "limit-rate": "bodies are read as fast as they come",
    "digest": "digest authentication is not spoken",
    "ntlm": "NTLM is not spoken",
    "negotiate": "SPNEGO is not spoken",
    "anyauth": "name the method: basic, bearer or a header",
    "netrc": "files with credentials are not read",
    "http3": "HTTP/3 is not spoken",
    "http1.0": "HTTP/1.1 is spoken",
    "ipv4": "addresses are used as the name resolves",
    "ipv6": "addresses are used as the name resolves",
    "unix-socket": "targets are reached by TCP",
    "aws-sigv4": "requests are not signed for AWS",
    "next": "only the first request is used",
}


def _raise(error: Exception) -> None:
    raise error
