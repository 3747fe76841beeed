"""Compile an endpoint of a spec into a request: headers, body, credentials, checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from atm.dataclass import dataclass
from atm.models.auth import ApiKey, BasicAuth, BearerToken, FetchedCredential, Jwt, NoAuth
from atm.models.fields import Path, path_text
from atm.models.request import TOKEN, ExpectBody, HeaderValue, parse_status
from atm.models.scenario import RequestStep, ScenarioSpec
from atm.models.spec import EndpointSpec, TestSpec
from atm.plan.bodies import BODIES, GRAPHQL_CHECK, Bodies
from atm.plan.checks import Checks
from atm.plan.connections import Origin
from atm.plan.files import Files
from atm.plan.hidden_text import HiddenText
from atm.plan.line_breaks import breaks_header, breaks_target
from atm.plan.load import nanoseconds
from atm.plan.load_plan import BodyCheck, Header, Step
from atm.plan.patterns import PatternError, compiled
from atm.plan.spec_mask import (
    is_sensitive,
    is_sensitive_header,
    secret_spans,
)
from atm.plan.template_parts import (
    Encoding,
    LiteralPart,
    Part,
    SecretPart,
    Template,
)
from atm.plan.templates import Names, merged
from atm.plan.urls import CompiledUrl, compile_origin, compile_url, with_base
from atm.version import VERSION

_WRITTEN_BY_ENGINES = ("content-length", "transfer-encoding")
# `?name=`, `&name=`, or the text between two of them.
_PARAMETER_PIECE = re.compile(r"[?&][^=&]*=|[?&]|[^?&]+")


_HeaderLines = dict[str, tuple[str, tuple[Template, ...]]]
"""By lower-case name: the name as written, and a template for each line; no lines if the header is not sent."""
_PURPOSES = {"token_url": "the URL of a token server"}
_ANY_STATUS = ((100, 999),)
"""Where a check judges the status."""
Written = EndpointSpec | TestSpec | RequestStep


@dataclass(frozen=True, slots=True)
class Around:
    """The scenario that a step belongs to, its path in the spec, and that of its steps."""

    scenario: ScenarioSpec
    path: Path
    steps_path: Path
    has_headers: bool = True
    """Its requests have the headers of the scenario; those of `before_user` do not."""


@dataclass(slots=True)
class Requests:
    """Compiles requests in turn, collecting what they share."""

    spec: TestSpec
    names: Names
    checks: Checks
    files: Files
    texts: HiddenText = field(init=False)
    bodies: Bodies = field(init=False)
    origins: dict[Origin, int] = field(default_factory=dict)
    """Each origin with its index in the plan."""
    credentials: dict[str, FetchedCredential] = field(default_factory=dict)
    environment_hosts: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """For each endpoint, the environment variables used in its scheme, host and port."""

    def __post_init__(self) -> None:
        self.texts = HiddenText(self.names)
        self.bodies = Bodies(self.texts, self.files)

    @property
    def secrets(self) -> dict[str, str]:
        """The literal credentials so far, by slot."""
        return self.texts.secrets

    def step(self, index: int, endpoint: Written, path: Path, around: Around | None = None) -> Step | None:
        """Compile the request of an endpoint, of a scenario's step, or of the spec's single url.

        None if its URL is invalid.
        """
        url_path = (*path, getattr(endpoint, "url_key", "url"))
        address = with_base(endpoint.url, self.spec.base_url, url_path, self.names.findings) if endpoint.url else ""
        url = compile_url(address, url_path, self.names) if address else None
        body, content_type = self.bodies.body(endpoint, path)
        headers = self._headers(endpoint, path, url.host_header if url else "", content_type, around)
        compresses = not isinstance(endpoint, TestSpec) and endpoint.compress is not None
        if compresses:
            headers = self._compressed(headers, path, has_body=body is not None)
        checks = self._checks(endpoint.expect_body, (*path, "expect_body"))
        is_graphql = not isinstance(endpoint, TestSpec) and endpoint.graphql is not None
        named = self.checks.of(index, endpoint, path, implied=(GRAPHQL_CHECK,) if is_graphql else ())
        if url is None:
            return None
        timeout = endpoint.timeout or (around.scenario.timeout if around else None) or self.spec.timeout
        return Step(
            endpoint=index,
            origin=self._origin(url, index),
            method=endpoint.method,
            target=self._hidden_parameters(url.target, url_path),
            headers=headers,
            body=body,
            expected_statuses=self._statuses(endpoint, around, judged=self.checks.judge_status(named)),
            checks=checks,
            timeout_ns=nanoseconds(timeout),
            named_checks=named,
            compresses=compresses,
        )

    def _compressed(self, headers: tuple[Header, ...], path: Path, *, has_body: bool) -> tuple[Header, ...]:
        """Add Content-Encoding."""
        place = (*path, "compress")
        if not has_body and not any(self.names.findings.touch(*path, name) for name in BODIES):
            what = "compress: gzip applies to a body, and this request has none"
            self.names.findings.add(place, what, "conflict", f"Remove it, or add one of: {', '.join(BODIES)}")
        given = next((header.name for header in headers if header.name.lower() == "content-encoding"), "")
        if given:
            what = f"compress: gzip sets the header {given}, which is also written"
            self.names.findings.add(
                place, what, "conflict", "Remove the header, or `compress` for a body that is compressed"
            )
        return (*headers, Header("Content-Encoding", (LiteralPart("gzip"),)))

    def _origin(self, url: CompiledUrl, endpoint: int) -> int:
        self.environment_hosts[endpoint] = url.environment
        return self.origins.setdefault(url.origin, len(self.origins))

    def _statuses(self, endpoint: Written, around: Around | None, *, judged: bool) -> tuple[tuple[int, int], ...]:
        """Return the expected status codes: the request's; else every one if a check judges them; else the default."""
        if judged and "expected_status_codes" not in endpoint.written:
            return _ANY_STATUS
        scenario = around.scenario.expected_status_codes if around else None
        statuses = endpoint.expected_status_codes or scenario or self.spec.expected_status_codes
        return tuple(sorted({parse_status(status) for status in statuses}))

    def _headers(
        self, endpoint: Written, path: Path, host: str, content_type: str, around: Around | None
    ) -> tuple[Header, ...]:
        """Order the headers: Host, the defaults, those of spec, scenario and request, and the credentials."""
        headers: _HeaderLines = {
            "host": ("Host", ((LiteralPart(host),),)),
            "user-agent": ("User-Agent", ((LiteralPart(f"atm/{VERSION}"),),)),
            "accept": ("Accept", ((LiteralPart("*/*"),),)),
        }
        sources: list[tuple[Path, Mapping[str, HeaderValue]]] = [(("headers",), self.spec.headers)]
        if around:
            # A header that the step replaces or removes may use a variable that is not set yet.
            own = {name.lower() for name in endpoint.headers}
            general: list[tuple[Path, Mapping[str, HeaderValue]]] = [
                *sources,
                ((*around.path, "headers"), around.scenario.headers if around.has_headers else {}),
            ]
            sources = [
                (place, {name: value for name, value in given.items() if name.lower() not in own})
                for place, given in general
            ]
        if path:
            sources.append(((*path, "headers"), endpoint.headers))
        for source, given in sources:
            self._add_given(headers, given, source)
        if content_type:
            headers.setdefault("content-type", ("Content-Type", ((LiteralPart(content_type),),)))
        if not self.spec.keep_alive:
            headers["connection"] = ("Connection", ((LiteralPart("close"),),))
        self._add_credentials(headers, endpoint, path, around)
        return tuple(Header(name, value) for name, values in headers.values() for value in values)

    def _add_given(self, headers: _HeaderLines, given: Mapping[str, HeaderValue], path: Path) -> None:
        seen: dict[str, str] = {}
        for name, value in given.items():
            place = (*path, name)
            key = name.lower()
            if not TOKEN.fullmatch(name):
                hint = "Names have letters, digits and hyphens"
                self.names.findings.add(place, f'"{name}" is not a valid header name', "bad_header", hint)
            elif key in _WRITTEN_BY_ENGINES:
                what = f"{name} is set by the engine, from the body"
                self.names.findings.add(place, what, "bad_header", "Leave it out")
            elif key in seen:
                what = f'the header "{name}" is given twice, also as "{seen[key]}"'
                self.names.findings.add(place, what, "conflict", "Keep one of them")
            else:
                seen[key] = name
                self._add_lines(headers, name, value, place)

    def _add_lines(self, headers: _HeaderLines, name: str, value: HeaderValue, path: Path) -> None:
        """Replace the lines of one header."""
        key = name.lower()
        if key == "host" and (value is None or not isinstance(value, str)):
            what = "a request must have exactly one Host header"
            self.names.findings.add(path, what, "bad_header", "Give it one value, or remove it to use the URL's host")
            return
        if value is None:
            # An entry without lines prevents the default header from being added again.
            headers[key] = (name, ())
            return
        if isinstance(value, str):
            lines: tuple[Template, ...] = (self._header_value(key, value.strip(" \t"), path),)
            if key in ("user-agent", "accept") and not lines[0]:
                lines = ()
            if key == "host" and not lines[0]:
                return
        else:
            lines = tuple(
                self._header_value(key, text.strip(" \t"), (*path, index)) for index, text in enumerate(value)
            )
        headers[key] = (name, lines)

    def _header_value(self, key: str, text: str, path: Path) -> Template:
        template = self.names.template(text, path, Encoding.HEADER)
        values = [part.text for part in template if isinstance(part, LiteralPart)]
        values += [self.names.secrets[part.slot] for part in template if isinstance(part, SecretPart)]
        self._check_value(values, path)
        return (
            self.texts.hidden(template, path)
            if is_sensitive_header(key)
            else self.texts.text(text, path, Encoding.HEADER)
        )

    def _check_value(self, values: list[str], path: Path) -> None:
        for value in values:
            if name := breaks_header(value):
                header = next(part for part in reversed(path) if isinstance(part, str))
                what = f"the header {header} holds {name}, which would end the header"
                self.names.findings.add(path, what, "bad_header", "A header is one line")
                return

    def _hidden_parameters(self, target: Template, path: Path) -> Template:
        """Turn the literal values of target parameters with credential names into slots."""
        parts: list[Part] = []
        in_secret = False
        for part in target:
            if not isinstance(part, LiteralPart):
                parts.append(part)
                continue
            for text in _PARAMETER_PIECE.findall(part.text):
                if in_secret and text[0] != "&":
                    parts.append(self.texts.slot(text, path))
                    continue
                in_secret = text[0] in "?&" and text[-1] == "=" and is_sensitive(text[1:-1])
                position = 0
                for start, end in secret_spans(text, colons=False):
                    parts += [LiteralPart(text[position:start]), self.texts.slot(text[start:end], path)]
                    position = end
                parts.append(LiteralPart(text[position:]))
        return merged(parts)

    def _add_credentials(self, headers: _HeaderLines, endpoint: Written, path: Path, around: Around | None) -> None:
        auth = self.spec.auth
        place: Path = ("auth",)
        if around and around.scenario.auth is not None:
            auth, place = around.scenario.auth, (*around.path, "auth")
        if path and endpoint.auth is not None:
            auth, place = endpoint.auth, (*path, "auth")
        if auth is None or isinstance(auth, NoAuth):
            return
        slot = path_text(place)
        name, prefix = "Authorization", "Bearer "
        if isinstance(auth, BearerToken):
            self.secrets[slot] = self._secret(auth.token, (*place, "token"))
        elif isinstance(auth, ApiKey):
            name, prefix = auth.header_name, ""
            self.secrets[slot] = self._secret(auth.key, (*place, "key"))
            if not TOKEN.fullmatch(name):
                self.names.findings.add((*place, "header_name"), f'"{name}" is not a valid header name', "bad_header")
        elif isinstance(auth, BasicAuth):
            user = self._secret(auth.username, (*place, "username"))
            password = self._secret(auth.password, (*place, "password"))
            if ":" in user:
                what = "a user name of basic auth cannot hold a colon"
                self.names.findings.add((*place, "username"), what, "bad_credential")
            from base64 import b64encode

            prefix = "Basic "
            self.secrets[slot] = b64encode(f"{user}:{password}".encode()).decode()
        elif isinstance(auth, FetchedCredential) and slot not in self.credentials:
            self.credentials[slot] = self._resolved(auth, place)
        given = headers.get(name.lower())
        if given is not None and given[1]:
            what = f"both auth and the header {given[0]} set this request's credentials"
            self.names.findings.add((*path, "headers", given[0]), what, "conflict", "Keep one of them")
        value: list[Part] = [LiteralPart(prefix), SecretPart(slot)]
        headers[name.lower()] = (name, (merged(value),))

    def _secret(self, text: str, path: Path) -> str:
        value = self.names.fixed(text, path, "a credential")
        self._check_value([value], path)
        return value

    def _resolved(self, auth: FetchedCredential, path: Path) -> FetchedCredential:
        """Return the credential with its templates filled in."""
        before = len(self.names.findings)
        data: dict[str, Any] = {
            name: self.names.fixed(
                value, (*path, name), _PURPOSES.get(name, "a credential"), secrets=name != "token_url"
            )
            if isinstance(value, str)
            else value
            for name, value in auth.to_data().items()
        }
        if len(self.names.findings) > before:
            return auth
        if not isinstance(auth, Jwt):
            if "token_url" not in data:  # missing, which was reported
                return auth
            place = (*path, "token_url")
            if character := breaks_target(str(data["token_url"])):
                self.names.findings.add(place, f"the URL holds {character}", "bad_url", "Write a space as %20")
            compile_origin(str(data["token_url"]), place, self.names.findings)
        return type(auth).read(data, path, self.names.findings)

    def _checks(self, expect: ExpectBody | None, path: Path) -> tuple[BodyCheck, ...]:
        if expect is None:
            return ()
        checks = []
        if expect.contains is not None:
            checks.append(BodyCheck("contains", self._expected_text(expect.contains, (*path, "contains"))))
        if expect.regex is not None:
            self._check_regex(expect.regex, (*path, "regex"))
            checks.append(BodyCheck("regex", expect.regex))
        if not checks and not self.names.findings.touch(*path):
            what = "expect_body sets no condition"
            self.names.findings.add(path, what, "missing_field", "Add `contains: …` or `regex: …`")
        return tuple(checks)

    def _expected_text(self, text: str, path: Path) -> str:
        """Compile an expected text. Failures quote it, so a credential in it, from any source, is refused."""
        secret = next((piece for piece in self.names.pieces(text, path, secrets=False) if piece.secret), None)
        if secret is None:
            return self.names.fixed(text, path, "an expected text")
        self.names.refuse_secret(secret, path, "an expected text")
        return ""

    def _check_regex(self, pattern: str, path: Path) -> None:
        try:
            compiled(pattern)
        except PatternError as error:
            self.names.findings.add(path, str(error), "bad_regex", error.hint)
