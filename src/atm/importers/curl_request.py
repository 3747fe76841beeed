"""One request of a curl command, as fields of a spec. `curl_effects.py` has what each option does to it."""

from __future__ import annotations

import math
import re
from dataclasses import field
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from atm.dataclass import dataclass
from atm.errors import SpecError
from atm.importers.command_line import as_template, encoded, variables, wrong_command

_FORM = "application/x-www-form-urlencoded"
_BOUNDARY = "------------------------atm-form-boundary"
_WRITTEN_BY_ENGINES = frozenset({"content-length", "transfer-encoding"})


@dataclass(slots=True)
class CurlRequest:
    """The request described by the options."""

    stdin: str | None = None
    urls: list[str] = field(default_factory=list)
    method: str = ""
    headers: dict[str, tuple[str, list[str] | None]] = field(default_factory=dict)
    """By lower-case name: the name as written, and its values; None removes a default header."""
    data: list[str] = field(default_factory=list)
    form: list[str] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    in_query: bool = False
    head_only: bool = False
    globs: bool = True
    content_type: str = ""
    scheme: str = "http"
    user: str | None = None
    bearer: str | None = None
    other_auth: str = ""
    timeout: float | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    """Fields that a spec has once for all its requests: `proxy`, `redirects`, `http_version`, `connect_to`, …"""
    tls: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    follow: bool = False
    max_redirects: int = 50

    def header(self, line: str) -> None:
        """`Name: value`; `Name:` removes a default header, `Name;` sends an empty one."""
        if line.startswith("@"):
            raise refused_file("-H", line)
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        key = name.lower()
        if key in _WRITTEN_BY_ENGINES:
            self.notes.append(f"the header {name} is ignored: it is derived from the body")
        elif not colon:
            if line.rstrip().endswith(";"):
                self.add_header(line.rstrip()[:-1].strip(), "")
            else:
                self.notes.append(f'-H "{line[:60]}" is ignored: without a colon, curl sends nothing for it')
        elif not value:
            self.headers[key] = (name, None)
        else:
            self.add_header(name, value)

    def add_header(self, name: str, value: str) -> None:
        """Add a line to a header, keeping the order."""
        key = name.lower()
        values = self.headers.setdefault(key, (name, []))[1]
        if values is None:
            self.headers[key] = (name, [value])
        else:
            values.append(value)

    def set_header(self, name: str, value: str) -> None:
        """Replace all lines of a header by one."""
        self.headers[name.lower()] = (name, [value])

    def add_data(self, value: str) -> None:
        """-d, --data-ascii, --data-binary: files are not available."""
        if value == "@-" and self.stdin is not None:
            self.data.append(self.stdin.replace("\r", "").replace("\n", ""))
        elif value.startswith("@"):
            raise refused_file("-d", value)
        else:
            self.data.append(value)

    def add_binary(self, value: str) -> None:
        """--data-binary: as -d, but keeps the line feeds of standard input."""
        if value == "@-" and self.stdin is not None:
            self.data.append(self.stdin)
        else:
            self.add_data(value)

    def add_raw(self, value: str) -> None:
        """--data-raw: @ has no special meaning."""
        self.data.append(value)

    def add_encoded(self, value: str) -> None:
        """--data-urlencode: `content`, `=content`, `name=content`."""
        self.data.append(_urlencoded("--data-urlencode", value))

    def add_query(self, value: str) -> None:
        """--url-query: as --data-urlencode, for the URL; `+content` is used unencoded."""
        self.query.append(value[1:] if value.startswith("+") else _urlencoded("--url-query", value))

    def add_json(self, value: str) -> None:
        """--json: data, and the two headers that it implies."""
        self.add_binary(value)
        self.content_type = "application/json"
        self.headers.setdefault("accept", ("Accept", ["application/json"]))

    def add_form(self, value: str) -> None:
        """-F name=content[;type=TYPE]: files are not available."""
        name, equals, content = value.partition("=")
        if not equals:
            raise wrong_command(f"-F {value[:60]} has no `=`", "bad_value", "Write -F name=content")
        if content.startswith(("@", "<")):
            raise refused_file("-F", value)
        content, *attributes = content.split(";") if not content.startswith('"') else [content.strip('"')]
        kind = next((item.partition("=")[2] for item in attributes if item.strip().startswith("type=")), "")
        self._add_part(name, content, kind)

    def add_form_string(self, value: str) -> None:
        """--form-string name=content: no character of the content has a special meaning."""
        name, _, content = value.partition("=")
        self._add_part(name, content, "")

    def _add_part(self, name: str, content: str, kind: str) -> None:
        if _BOUNDARY in content:
            raise wrong_command("a part of the form contains the boundary between parts", "bad_value")
        lines = [f'Content-Disposition: form-data; name="{name.replace(chr(34), "%22")}"']
        lines += [f"Content-Type: {kind}"] if kind else []
        self.form.append("\r\n".join([*lines, "", content]))

    def cookie(self, value: str) -> None:
        """-b: `name=value`; a file is not available."""
        if "=" not in value and not variables(value):
            raise refused_file("-b", value)
        self.add_header("Cookie", value)

    def set_proxy(self, value: str) -> None:
        """-x [http://][user:password@]host[:port], port 1080 by default."""
        parts = urlsplit(value if "://" in value else f"http://{value}")
        if parts.scheme != "http":
            self.notes.append(
                f"--proxy is ignored, so requests go directly to the target: no support for {parts.scheme} proxies"
            )
            return
        has_port = re.search(r":\d+$", parts.netloc)
        self.shared["proxy"] = f"http://{parts.netloc}{'' if has_port else ':1080'}"

    def proxy_user(self, value: str) -> None:
        """-U name:password, for the preceding -x."""
        proxy = self.shared.get("proxy")
        if proxy is None:
            self.notes.append("--proxy-user is ignored: there is no --proxy before it")
            return
        name, _, password = value.partition(":")
        user = f"{encoded(name, _percent)}:{encoded(password, _percent)}"
        self.shared["proxy"] = str(proxy).replace("http://", f"http://{user}@", 1)

    def resolve(self, value: str) -> None:
        """--resolve [+]HOST:PORT:ADDRESS[,…]."""
        match = re.fullmatch(r"\+?([^:]+):(\d+):(\[[^\]]+\]|[^,]+)(,.*)?", value)
        if not match or match[1] == "*":
            self.notes.append(f"--resolve {value[:60]} is ignored: it could not be parsed")
            return
        host, port, address, more = match.groups()
        address = f"[{address}]" if ":" in address and not address.startswith("[") else address
        self.shared.setdefault("connect_to", []).append(f"{host}:{port}:{address}:{port}")
        if more:
            self.notes.append("--resolve: only its first address is used")

    def interface(self, value: str) -> None:
        """--interface: an IP address becomes a source address; a device name is ignored."""
        address = value.removeprefix("host!")
        if re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:]+:[0-9A-Fa-f:.]*", address):
            self.shared["source_addresses"] = [address]
        else:
            self.notes.append(f"--interface {value[:60]} is ignored: give an IP address to connect from")

    def max_time(self, value: str) -> None:
        """-m: timeout of the whole request; 0 is no limit."""
        seconds = _number("--max-time", value)
        if seconds == 0:
            self.notes.append("--max-time 0 is ignored: every request has a timeout, 30 s by default")
        else:
            self.timeout = seconds

    def redirects(self, value: str) -> None:
        """--max-redirs; -1 is no limit, limited to the 50 allowed in a spec."""
        number = _number("--max-redirs", value, least=-1)
        self.max_redirects = 50 if number < 0 else min(int(number), 50)

    def client_certificate(self, value: str) -> None:
        """-E certificate[:password]; the colon of a drive letter or an escaped colon belongs to the name."""
        match = re.fullmatch(r"((?:[A-Za-z]:[\\/])?(?:\\:|[^:])*)(?::(.*))?", value, re.DOTALL)
        assert match is not None
        self.tls["cert"] = match[1].replace("\\:", ":")
        if match[2]:
            self.notes.append("the password of --cert is ignored: remove it from the key (PEM)")

    def certificate_type(self, value: str) -> None:
        """--cert-type and --key-type: a spec accepts PEM."""
        if value.upper() != "PEM":
            self.notes.append(
                f"certificates of type {value[:20]} are not supported: convert it to PEM (`openssl pkcs12`)"
            )

    # The request

    def endpoint(self, url: str) -> dict[str, Any]:
        """Return the request to one of the URLs, as the fields of an endpoint without a name."""
        address, credentials = _without_credentials(self._with_query(url))
        method = self._method()
        fields: dict[str, Any] = {"url": as_template(address)}
        if method != "GET":
            fields["method"] = as_template(method)
        headers = {key: (name, values) for key, (name, values) in self.headers.items()}
        body = self._body(headers)
        if body is not None:
            fields["body"] = as_template(body)
        if headers:
            fields["headers"] = {name: _header_value(name, values) for name, values in headers.values()}
        auth = self._auth(credentials)
        if auth:
            fields["auth"] = auth
        if self.timeout is not None:
            fields["timeout"] = self.timeout
        return fields

    def spec_fields(self) -> dict[str, Any]:
        """Return the fields that apply to all requests of a spec."""
        fields = dict(self.shared)
        if self.follow and self.max_redirects:
            fields["redirects"] = self.max_redirects
        if self.tls:
            fields["tls"] = dict(self.tls)
        return fields

    def _with_query(self, url: str) -> str:
        query = [*self.query, *(self.data if self.in_query else ())]
        if not query:
            return url
        head, hash_mark, fragment = url.partition("#")
        return f"{head}{'&' if '?' in head else '?'}{'&'.join(query)}{hash_mark}{fragment}"

    def _method(self) -> str:
        if self.method:
            return self.method
        if self.head_only:
            return "HEAD"
        return "POST" if self.form or (self.data and not self.in_query) else "GET"

    def _body(self, headers: dict[str, tuple[str, list[str] | None]]) -> str | None:
        """Return the body, and add its type to the headers unless they have one."""
        if self.form:
            headers.setdefault("content-type", ("Content-Type", [f"multipart/form-data; boundary={_BOUNDARY}"]))
            return "".join(f"--{_BOUNDARY}\r\n{part}\r\n" for part in self.form) + f"--{_BOUNDARY}--\r\n"
        if not self.data or self.in_query:
            return None
        headers.setdefault("content-type", ("Content-Type", [self.content_type or _FORM]))
        if headers["content-type"][1] is None:
            del headers["content-type"]
        return ("" if self.content_type else "&").join(self.data)

    def _auth(self, credentials: str | None) -> dict[str, Any]:
        user = self.user if self.user is not None else credentials
        if self.other_auth:
            if user is not None or self.other_auth in ("negotiate", "aws-sigv4"):
                self.notes.append(f"--{self.other_auth}: no credentials are sent, as this scheme is not supported")
            return {}
        if self.bearer is not None:
            return {"type": "bearer_token", "token": as_template(self.bearer)}
        if user is None:
            return {}
        name, colon, password = user.partition(":")
        if not colon:
            self.notes.append("-u has no password, for which curl would prompt: set auth.password")
        return {"type": "basic", "username": as_template(name), "password": as_template(password)}


def _header_value(name: str, values: list[str] | None) -> str | list[str] | None:
    if values is None:
        return None
    texts = [as_template(value) for value in values]
    if name.lower() == "cookie":
        return "; ".join(texts)
    return texts[0] if len(texts) == 1 else texts


def _without_credentials(url: str) -> tuple[str, str | None]:
    """Return the URL without `user:password@`, and these."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#@]*)@", url)
    if not match:
        return url, None
    return match[1] + url[match.end() :], unquote(match[2])


def _percent(text: str) -> str:
    return quote(text, safe="")


def _plus(text: str) -> str:
    return quote_plus(text, safe="")


def _urlencoded(option: str, value: str) -> str:
    """Percent-encode the content of `content`, `=content` or `name=content`, spaces as `+`."""
    name, equals, content = value.partition("=")
    if "@" in (name if equals else value):
        raise refused_file(option, value)
    if not equals:
        name, content = "", value
    return f"{name}={encoded(content, _plus)}" if name else encoded(content, _plus)


def _number(option: str, value: str, *, least: float = 0) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= least):
        raise wrong_command(f"{option} {value[:40]} is not a number of at least {least:g}", "bad_value")
    return number


def refused_file(option: str, value: str) -> SpecError:
    """Return the error of an option that would read a file."""
    what = f"{option} {value[:60]} reads a file, which is not available"
    return wrong_command(what, "file_not_allowed", "Put the content of the file into the command")
