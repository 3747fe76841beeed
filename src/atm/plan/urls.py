"""Compile URL templates to an origin and a request target (RFC 3986, RFC 9112 3.2)."""

from __future__ import annotations

import re
from typing import Literal, cast

from atm.dataclass import dataclass
from atm.models.fields import Findings, Path
from atm.plan.connections import Origin
from atm.plan.line_breaks import breaks_target
from atm.plan.template_parts import Encoding, LiteralPart, Part, Template
from atm.plan.templates import Names, Piece, merged, percent_encoded

DEFAULT_PORTS = {"http": 80, "https": 443}
_HEAD = re.compile(r"([^/?#]*://[^/?#]*)(.*)", re.DOTALL)
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# Allowed in a path or query beside unreserved characters: gen-delims without #, sub-delims, and % itself.
_SAFE = ":/?@!$&'()*+,;=%[]|"
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class CompiledUrl:
    """The destination of a request and its target."""

    origin: Origin
    target: Template
    host_header: str
    environment: tuple[str, ...] = ()
    """The environment variables used in the origin."""


class _BadUrlError(Exception):
    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def with_base(text: str, base: str | None, path: Path, findings: Findings) -> str:
    """Return a URL with the spec's `base_url` before it if it begins with a slash; empty after a problem."""
    if not text.startswith("/") or text.startswith("//"):
        return text
    if base is not None:
        return base.rstrip("/") + text
    what = f'the URL "{text}" begins with a slash, and the spec has no base_url'
    findings.add(path, what, "bad_url", "Add `base_url: https://api.example.com` at the top level of the spec")
    return ""


def compile_url(text: str, path: Path, names: Names) -> CompiledUrl | None:
    """Return the URL's origin and target; None if there are problems, which are added to the findings."""
    before = len(names.findings)
    literal = names.pieces(text, path, secrets=False)
    if len(names.findings) > before:
        return None
    # Everything up to the end of the host must be known now; after it, {{env:…}} is a slot.
    head, rest, used = "", "", 0
    environment: list[str] = []
    for piece in literal:
        used += 1
        if piece.variable:
            _report_varying_host(piece, head, path, names.findings)
            return None
        if not names.may_be_shown(piece):
            names.refuse_secret(piece, path, "the host of a URL")
            return None
        head += piece.text
        if piece.environment:
            environment.append(piece.environment)
        if (match := _HEAD.fullmatch(head)) and match[2]:
            head, rest = match[1], match[2]
            break
    try:
        scheme, host, port = split_authority(head, text)
    except _BadUrlError as error:
        names.findings.add(path, str(error), "bad_url", error.hint)
        return None
    tail = names.pieces(text, path)[used:]
    target = _target([Piece(rest, written=True), *tail], path, names)
    origin = Origin(cast('Literal["http", "https"]', scheme), host, port)
    return CompiledUrl(origin, target, origin.authority, tuple(environment))


def _report_varying_host(piece: Piece, head: str, path: Path, findings: Findings) -> None:
    where = "the host" if "://" in head else "the scheme and the host"
    what = f"{{{{{piece.variable}}}}} differs per request, which {where} of a URL must not"
    findings.add(path, what, "varying_host", "Use one endpoint per host, or put the variable after the first slash")


def _target(pieces: list[Piece], path: Path, names: Names) -> Template:
    parts: list[Part] = []
    for piece in pieces:
        if not piece.written or piece.slot or piece.variable:
            if piece.raw and (character := breaks_target(piece.text)):
                what = f"a raw value in the URL contains {character}, which would end the request line"
                names.findings.add(path, what, "bad_url", "Remove `| raw` to have the value percent-encoded")
            parts.append(names.part(piece, Encoding.PERCENT))
            continue
        text, hash_sign, _ = piece.text.partition("#")
        parts.append(LiteralPart(_normalised(text, path, names.findings)))
        if hash_sign:
            # Fragments are for the client and never sent.
            break
    target = merged(parts)
    first = target[0] if target else None
    slash = not (isinstance(first, LiteralPart) and first.text.startswith("/"))
    return merged([LiteralPart("/"), *target]) if slash else target


def _normalised(text: str, path: Path, findings: Findings) -> str:
    if breaks_target(text):
        findings.add(path, "the URL holds a space or a control character", "bad_url", "Write a space as %20")
        return ""
    return percent_encoded(_BAD_PERCENT.sub("%25", text), _SAFE)


def clean_target(text: str) -> str:
    """Return the path and query of a URL in code as they are sent: what must be percent-encoded is, once."""
    return percent_encoded(_BAD_PERCENT.sub("%25", text.partition("#")[0]), _SAFE)


def split_authority(head: str, text: str) -> tuple[str, str, int]:
    """Split `scheme://host:port` into its parts. Raises an error with message and hint."""
    scheme, separator, authority = head.partition("://")
    if not separator:
        begun = re.match(r"(?:(https?):)?[/\\]*(.*)", text, re.IGNORECASE | re.DOTALL)
        assert begun is not None
        rest = begun[2].replace("\\", "/")
        raise _BadUrlError(f'the URL "{text}" has no scheme', f'Write "{(begun[1] or "http").lower()}://{rest}"')
    scheme = scheme.lower()
    if scheme not in DEFAULT_PORTS:
        hint = "Only http:// and https:// URLs are supported"
        raise _BadUrlError(f'the URL "{text}" has the scheme "{scheme}"; supported are http and https', hint)
    if "@" in authority:
        hint = "Use `auth: {type: basic, username: …, password: …}`"
        raise _BadUrlError("the URL holds a user name or a password", hint)
    host, port = split_host(authority, text)
    return scheme, host, DEFAULT_PORTS[scheme] if port is None else port


def split_host(authority: str, text: str) -> tuple[str, int | None]:
    """Split `host`, `host:port` or `[v6]:port`."""
    if authority.startswith("[") and "]" not in authority:
        raise _BadUrlError(f'the IPv6 address "{authority}" is not closed', f'Write "http://{authority}]/"')
    if authority.count(":") > 1 and not authority.startswith("["):
        hint = "Put an IPv6 address in brackets: http://[::1]:8080/"
        raise _BadUrlError(f'the host "{authority}" has more than one colon', hint)
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", authority, re.DOTALL)
    if match is None:
        raise _BadUrlError(f'the host "{authority}" cannot be read', "Put an IPv6 address in brackets: [::1]")
    host, port = match[1], match[2]
    if not host:
        raise _BadUrlError(f'the URL "{text}" has no host', 'Write "http://host/path"')
    number: int | None = None
    if port:
        number = int(port) if port.isascii() and port.isdigit() and len(port) < 8 else 0
        if not 0 < number < 65536:
            hint = "Write it after the host, or leave it out: http://host:8080/"
            raise _BadUrlError(f'the port "{port}" is not a number from 1 to 65535', hint)
    return checked_host(host), number


def check_server_name(name: str, path: Path, findings: Findings) -> None:
    """Report a name that no certificate can match."""
    try:
        checked_host(f"[{name}]" if ":" in name else name)
    except _BadUrlError as error:
        findings.add(path, str(error), "bad_address", error.hint)


def checked_host(host: str) -> str:
    """Normalise a host for resolution: lower case, IDNA, IPv6 without brackets."""
    if host.startswith("["):
        import ipaddress

        if "%" in host:
            # The module accepts any text as a zone, and this is sent in the Host header.
            hint = "Use an address that is the same on every interface, or a name from /etc/hosts"
            raise _BadUrlError(f'"{host}" has a zone id, which is not supported', hint)
        try:
            return ipaddress.IPv6Address(host[1:-1]).compressed
        except ValueError:
            raise _BadUrlError(f'"{host}" is not an IPv6 address', "For example [::1] or [2001:db8::7]") from None
    name = host.lower()
    if re.fullmatch(r"[0-9.]+", name):
        if not _IPV4.fullmatch(name):
            raise _BadUrlError(f'"{host}" is not an IPv4 address', "Four numbers from 0 to 255: 127.0.0.1")
        return name
    if not name.isascii():
        name = _idna(name, host)
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        hint = "A host has letters, digits and hyphens between its dots"
        raise _BadUrlError(f'"{host}" is not a valid host name', hint)
    return name


def _idna(name: str, host: str) -> str:
    # Installed with httpx; needed for non-ASCII names only.
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise _BadUrlError(f'"{host}" is not a valid host name (IDNA 2008)') from None


def compile_origin(text: str, path: Path, findings: Findings) -> Origin | None:
    """Return the origin of a URL without templates, ignoring the path: of a proxy or token server."""
    match = _HEAD.fullmatch(text)
    try:
        scheme, host, port = split_authority(match[1] if match else text, text)
    except _BadUrlError as error:
        findings.add(path, str(error), "bad_url", error.hint)
        return None
    return Origin(cast('Literal["http", "https"]', scheme), host, port)


def parse_connect_to(text: str, path: Path, findings: Findings) -> tuple[str, int | None, str, int | None] | None:
    """Parse HOST:PORT:OTHER_HOST:OTHER_PORT as curl does: an empty part means any, or the same."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]*):(\[[^\]]*\]|[^:]*):([0-9]*)", text)
    try:
        if match is None:
            raise _BadUrlError(f'"{text}" is not HOST:PORT:OTHER_HOST:OTHER_PORT')
        hosts = [checked_host(host) if host else "" for host in (match[1], match[3])]
        ports = [int(port) if port else None for port in (match[2], match[4])]
        if any(port is not None and not 0 < port < 65536 for port in ports):
            raise _BadUrlError(f'"{text}" has a port that is not a number from 1 to 65535')
    except _BadUrlError as error:
        hint = error.hint or "For example `api.example.com:443:10.0.0.5:8443`"
        findings.add(path, str(error), "bad_connect_to", hint)
        return None
    return hosts[0], ports[0], hosts[1], ports[1]
