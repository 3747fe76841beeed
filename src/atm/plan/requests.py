"""Compile an endpoint of a spec into a request: headers, body, credentials, checks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from atm.models.auth import ApiKey, BasicAuth, BearerToken, FetchedCredential, Jwt, NoAuth
from atm.models.fields import Path, path_text
from atm.models.request import TOKEN, ExpectBody, HeaderValue, parse_status
from atm.models.scenario import RequestStep, ScenarioSpec
from atm.models.spec import EndpointSpec, TestSpec
from atm.plan.bodies import form_value
from atm.plan.checks import Checks
from atm.plan.line_breaks import breaks_header, breaks_target
from atm.plan.load import nanoseconds
from atm.plan.load_plan import BodyCheck, Header, Origin, Step
from atm.plan.patterns import PatternError, compiled
from atm.plan.spec_mask import (
    SCHEMES,
    is_plural,
    is_secret_field,
    is_sensitive,
    is_sensitive_header,
    only_describes,
    secret_spans,
)
from atm.plan.template_parts import (
    DataSource,
    Encoding,
    LiteralPart,
    Part,
    SecretPart,
    SlotSource,
    Template,
    ValuePart,
)
from atm.plan.templates import Names, merged, percent_encoded
from atm.plan.urls import CompiledUrl, compile_origin, compile_url, with_base
from atm.version import VERSION

_BODIES = ("body", "json", "form")
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
    """The scenario that a step belongs to, and its path in the spec."""

    scenario: ScenarioSpec
    path: Path


@dataclass(slots=True)
class Requests:
    """Compiles requests in turn, collecting what they share."""

    spec: TestSpec
    names: Names
    checks: Checks
    origins: dict[Origin, int] = field(default_factory=dict)
    """Each origin with its index in the plan."""
    secrets: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, FetchedCredential] = field(default_factory=dict)
    environment_hosts: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """For each endpoint, the environment variables used in its scheme, host and port."""

    def step(self, index: int, endpoint: Written, path: Path, around: Around | None = None) -> Step | None:
        """Compile the request of an endpoint, of a scenario's step, or of the spec's single url.

        None if its URL is invalid.
        """
        url_path = (*path, getattr(endpoint, "url_key", "url"))
        address = with_base(endpoint.url, self.spec.base_url, url_path, self.names.findings) if endpoint.url else ""
        url = compile_url(address, url_path, self.names) if address else None
        body, content_type = self._body(endpoint, path)
        headers = self._headers(endpoint, path, url.host_header if url else "", content_type, around)
        checks = self._checks(endpoint.expect_body, (*path, "expect_body"))
        named = () if isinstance(endpoint, TestSpec) else self.checks.of(index, endpoint, path)
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
        )

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
            inherited = {name: value for name, value in around.scenario.headers.items() if name.lower() not in own}
            sources.append(((*around.path, "headers"), inherited))
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
        return self._hidden(template, path) if is_sensitive_header(key) else self._text(text, path, Encoding.HEADER)

    def _check_value(self, values: list[str], path: Path) -> None:
        for value in values:
            if name := breaks_header(value):
                header = next(part for part in reversed(path) if isinstance(part, str))
                what = f"the header {header} holds {name}, which would end the header"
                self.names.findings.add(path, what, "bad_header", "A header is one line")
                return

    def _hidden(self, template: Template, path: Path) -> Template:
        """Turn literal credentials into slots, because a plan holds no secret."""
        parts: list[Part] = []
        for part in template:
            if isinstance(part, LiteralPart) and part.text.strip().lower() not in SCHEMES:
                parts.append(self._slot(part.text, path))
            else:
                parts.append(replace(part, is_secret=True) if isinstance(part, ValuePart) else part)
        return tuple(parts)

    def _text(self, text: str, path: Path, encoding: Encoding = Encoding.RAW) -> Template:
        """Split a text into parts, each credential found in it as a slot."""
        before = len(self.names.findings)
        whole = self.names.template(text, path, encoding)
        spans = secret_spans(text)
        if not spans or len(self.names.findings) > before:
            return whole
        parts: list[Part] = []
        position = 0
        for start, end in spans:
            parts += self.names.template(text[position:start], path, encoding)
            parts += self._hidden(self.names.template(text[start:end], path, encoding), path)
            position = end
        return merged([*parts, *self.names.template(text[position:], path, encoding)])

    def _slot(self, value: str, path: Path) -> SecretPart:
        """Create a unique slot for a literal value: `headers.Cookie`, `headers.Cookie#2`, …"""
        slot = place = path_text(path)
        number = 1
        while self.secrets.get(slot, value) != value:
            number += 1
            slot = f"{place}#{number}"
        self.secrets[slot] = value
        return SecretPart(slot)

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
                    parts.append(self._slot(text, path))
                    continue
                in_secret = text[0] in "?&" and text[-1] == "=" and is_sensitive(text[1:-1])
                position = 0
                for start, end in secret_spans(text, colons=False):
                    parts += [LiteralPart(text[position:start]), self._slot(text[start:end], path)]
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

    def _body(self, endpoint: Written, path: Path) -> tuple[Template | None, str]:
        """Return the body and its content type, which is empty for a text."""
        names = [name for name in _BODIES if name in endpoint.written]
        if len(names) > 1:
            what = f"a request has one body, and this one has {' and '.join(names)}"
            self.names.findings.add((*path, names[-1]), what, "conflict", f"Keep one of: {', '.join(_BODIES)}")
        if not names:
            return None, ""
        place = (*path, names[0])
        body = getattr(endpoint, names[0])
        if names[0] == "form":
            return self._form(body, place), "application/x-www-form-urlencoded"
        if names[0] == "json" or isinstance(body, dict | list):
            return merged(self._json(body, place)), "application/json"
        text = body if isinstance(body, str) else getattr(body, "text", None) or json.dumps(body)
        return self._text(text, place), ""

    def _form(self, form: Mapping[str, str | list[str]], path: Path) -> Template:
        """Compile the fields of a form; those with credential names become slots."""
        parts: list[Part] = []
        for name, value in form.items():
            for index, text in enumerate([value] if isinstance(value, str) else value):
                place = (*path, name) if isinstance(value, str) else (*path, name, index)
                inside = form_value(self.names, text, place)
                parts += [
                    LiteralPart("&" if parts else ""),
                    LiteralPart(f"{percent_encoded(name)}="),
                    *(self._hidden(inside, place) if is_secret_field(name, form) else inside),
                ]
        return merged(parts)

    def _json(self, value: Any, path: Path) -> list[Part]:
        """Compile compact JSON; templates inside strings are filled in, and their values escaped."""
        if isinstance(value, str):
            if (typed := self._typed(value, path)) is not None:
                return [typed]
            return [LiteralPart('"'), *self._text(value, path, Encoding.JSON), LiteralPart('"')]

        def field(name: str, item: Any, place: Path) -> list[Part]:
            secret = isinstance(value, Mapping) and is_secret_field(name, value)
            return self._json_secret(name, item, place) if secret else self._json(item, place)

        return self._json_container(value, path, field)

    def _typed(self, text: str, path: Path) -> ValuePart | None:
        """Return the value of a string that is one `{{…}}` of the user or of test data, which keeps its type.

        None for every other string, and if there are problems.
        """
        if not (text.startswith("{{") and text.endswith("}}")) or "{{" in text[2:]:
            return None
        value = self.names.whole_value(text, path)
        if value is None:
            return None
        if value.filters and value.filters[-1].name == "json":
            return replace(value, encoding=Encoding.RAW)
        if value.filters or not isinstance(value.source, SlotSource | DataSource):
            return None
        return replace(value, encoding=Encoding.JSON_VALUE)

    def _json_secret(self, name: str, value: Any, path: Path) -> list[Part]:
        """Compile the value of a field with a credential name: every text and number in it becomes a slot."""
        if isinstance(value, str):
            if (typed := self._typed(value, path)) is not None:
                return [replace(typed, is_secret=True)]
            inside = self.names.template(value, path, Encoding.JSON)
            return [LiteralPart('"'), *self._hidden(inside, path), LiteralPart('"')]
        if isinstance(value, int | float) and not isinstance(value, bool) and not is_plural(name):
            return [self._slot(json.dumps(value), path)]

        def field(name: str, item: Any, place: Path) -> list[Part]:
            return self._json(item, place) if only_describes(name, item) else self._json_secret("", item, place)

        return self._json_container(value, path, field)

    def _json_container(self, value: Any, path: Path, field: Callable[[str, Any, Path], list[Part]]) -> list[Part]:
        """Write an object or list, its members by `field`; other values unchanged."""
        if isinstance(value, Mapping):
            parts: list[Part] = [LiteralPart("{")]
            for index, (name, item) in enumerate(value.items()):
                parts += [LiteralPart("," if index else ""), *self._json(str(name), path), LiteralPart(":")]
                parts += field(str(name), item, (*path, str(name)))
            return [*parts, LiteralPart("}")]
        if isinstance(value, list | tuple):
            parts = [LiteralPart("[")]
            for place, item in enumerate(value):
                parts += [LiteralPart("," if place else ""), *field("", item, (*path, place))]
            return [*parts, LiteralPart("]")]
        return [LiteralPart(json.dumps(value))]

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
