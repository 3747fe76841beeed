"""An endpoint of a spec into the request that engines send: headers, body, credentials, checks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atm.models.auth import ApiKey, BasicAuth, BearerToken, FetchedCredential, Jwt, NoAuth
from atm.models.fields import Path, path_text
from atm.models.spec import TOKEN, EndpointSpec, ExpectBody, HeaderValue, TestSpec, parse_status
from atm.plan.lines import breaks_header, breaks_target
from atm.plan.load_plan import BodyCheck, Encoding, Header, LiteralPart, Origin, Part, SecretPart, Step, Template
from atm.plan.loads import nanoseconds
from atm.plan.masking import SCHEMES, is_sensitive
from atm.plan.patterns import PatternError, compiled
from atm.plan.templating import Names, merged
from atm.plan.urls import CompiledUrl, compile_origin, compile_url
from atm.version import VERSION

_WRITTEN_BY_ENGINES = ("content-length", "transfer-encoding")
# `?name=` or `&name=`, or what stands between two of them.
_PARAMETER_PIECE = re.compile(r"[?&][^=&]*=|[?&]|[^?&]+")


_HeaderLines = dict[str, tuple[str, tuple[Template, ...]]]
"""By lower-case name: the name as written, and a template for each line; none where the header is not sent."""


@dataclass(slots=True)
class Requests:
    """Compiles one request after the other, gathering what they share."""

    spec: TestSpec
    names: Names
    origins: dict[Origin, int] = field(default_factory=dict)
    """Each with its index in the plan."""
    secrets: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, FetchedCredential] = field(default_factory=dict)

    def step(self, index: int, endpoint: EndpointSpec | TestSpec, path: Path) -> Step | None:
        """The request of an endpoint, or of the spec's single url; None where its URL is no URL."""
        url = compile_url(endpoint.url or "", (*path, "url"), self.names) if endpoint.url else None
        headers = self._headers(endpoint, path, url.host_header if url else "")
        body = self._body(endpoint.body, (*path, "body"))
        checks = self._checks(endpoint.expect_body, (*path, "expect_body"))
        if url is None:
            return None
        statuses = endpoint.expected_status_codes or self.spec.expected_status_codes
        return Step(
            endpoint=index,
            origin=self._origin(url),
            method=endpoint.method,
            target=self._hidden_parameters(url.target, (*path, "url")),
            headers=headers,
            body=body,
            expected_statuses=tuple(sorted({parse_status(status) for status in statuses})),
            checks=checks,
            timeout_ns=nanoseconds(endpoint.timeout or self.spec.timeout),
        )

    def _origin(self, url: CompiledUrl) -> int:
        return self.origins.setdefault(url.origin, len(self.origins))

    def _headers(self, endpoint: EndpointSpec | TestSpec, path: Path, host: str) -> tuple[Header, ...]:
        """Host first, then what every client says, the spec's headers, the endpoint's, and the credentials."""
        headers: _HeaderLines = {
            "host": ("Host", ((LiteralPart(host),),)),
            "user-agent": ("User-Agent", ((LiteralPart(f"atm/{VERSION}"),),)),
            "accept": ("Accept", ((LiteralPart("*/*"),),)),
        }
        sources: list[tuple[Path, Mapping[str, HeaderValue]]] = [(("headers",), self.spec.headers)]
        if path:
            sources.append(((*path, "headers"), endpoint.headers))
        for source, given in sources:
            self._add_given(headers, given, source)
        if isinstance(endpoint.body, dict | list):
            headers.setdefault("content-type", ("Content-Type", ((LiteralPart("application/json"),),)))
        if not self.spec.keep_alive:
            headers["connection"] = ("Connection", ((LiteralPart("close"),),))
        self._add_credentials(headers, endpoint, path)
        return tuple(Header(name, value) for name, values in headers.values() for value in values)

    def _add_given(self, headers: _HeaderLines, given: Mapping[str, HeaderValue], path: Path) -> None:
        seen: dict[str, str] = {}
        for name, value in given.items():
            place = (*path, name)
            key = name.lower()
            if not TOKEN.fullmatch(name):
                hint = "Names have letters, digits and hyphens"
                self.names.findings.add(place, f'"{name}" is no header name', "bad_header", hint)
            elif key in _WRITTEN_BY_ENGINES:
                what = f"{name} is written by the engine, from the body"
                self.names.findings.add(place, what, "bad_header", "Leave it out")
            elif key in seen:
                what = f'the header "{name}" is given twice, also as "{seen[key]}"'
                self.names.findings.add(place, what, "conflict", "Keep one of them")
            else:
                seen[key] = name
                self._add_lines(headers, name, value, place)

    def _add_lines(self, headers: _HeaderLines, name: str, value: HeaderValue, path: Path) -> None:
        """The lines of one header, instead of those that are there."""
        key = name.lower()
        if key == "host" and (value is None or not isinstance(value, str)):
            what = "a request has one Host header, no more and no less"
            self.names.findings.add(path, what, "bad_header", "Give it one value, or leave it out for the URL's host")
            return
        if value is None:
            # Kept without lines, so that a header that is sent by default does not come back.
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
        template = self.names.template(text, path)
        values = [part.text for part in template if isinstance(part, LiteralPart)]
        values += [self.names.secrets[part.slot] for part in template if isinstance(part, SecretPart)]
        self._check_value(values, path)
        return self._hidden(template, path) if is_sensitive(key) else template

    def _check_value(self, values: list[str], path: Path) -> None:
        for value in values:
            if name := breaks_header(value):
                header = next(part for part in reversed(path) if isinstance(part, str))
                what = f"the header {header} holds {name}, which would end it"
                self.names.findings.add(path, what, "bad_header", "A header is one line")
                return

    def _hidden(self, template: Template, path: Path) -> Template:
        """Literal credentials as slots: a plan holds no secret."""
        parts: list[Part] = []
        for part in template:
            if isinstance(part, LiteralPart) and part.text.strip().lower() not in SCHEMES:
                parts.append(self._slot(part.text, path))
            else:
                parts.append(part)
        return tuple(parts)

    def _slot(self, value: str, path: Path) -> SecretPart:
        """A slot of its own for a value that is written as it is: `headers.Cookie`, `headers.Cookie#2`, …"""
        slot = place = path_text(path)
        number = 1
        while self.secrets.get(slot, value) != value:
            number += 1
            slot = f"{place}#{number}"
        self.secrets[slot] = value
        return SecretPart(slot)

    def _hidden_parameters(self, target: Template, path: Path) -> Template:
        """The target with the literal values of parameters that are called like credentials as slots."""
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
                parts.append(LiteralPart(text))
        return merged(parts)

    def _add_credentials(self, headers: _HeaderLines, endpoint: EndpointSpec | TestSpec, path: Path) -> None:
        own = bool(path) and endpoint.auth is not None
        auth = endpoint.auth if own else self.spec.auth
        place = (*path, "auth") if own else ("auth",)
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
                self.names.findings.add((*place, "header_name"), f'"{name}" is no header name', "bad_header")
        elif isinstance(auth, BasicAuth):
            user = self._secret(auth.username, (*place, "username"))
            password = self._secret(auth.password, (*place, "password"))
            if ":" in user:
                what = "a user name of basic auth cannot hold a colon"
                self.names.findings.add((*place, "username"), what, "bad_credential")
            from base64 import b64encode

            prefix = "Basic "
            self.secrets[slot] = b64encode(f"{user}:{password}".encode()).decode()
        elif slot not in self.credentials:
            self.credentials[slot] = self._resolved(auth, place)
        given = headers.get(name.lower())
        if given is not None and given[1]:
            what = f"both auth and the header {given[0]} say how this request proves who it is"
            self.names.findings.add((*path, "headers", given[0]), what, "conflict", "Keep one of them")
        value: list[Part] = [LiteralPart(prefix), SecretPart(slot)]
        headers[name.lower()] = (name, (merged(value),))

    def _secret(self, text: str, path: Path) -> str:
        value = self.names.fixed(text, path, "a credential")
        self._check_value([value], path)
        return value

    def _resolved(self, auth: FetchedCredential, path: Path) -> FetchedCredential:
        """The credential with its templates filled in."""
        before = len(self.names.findings)
        data: dict[str, Any] = {
            name: self.names.fixed(value, (*path, name), "a credential") if isinstance(value, str) else value
            for name, value in auth.to_data().items()
        }
        if len(self.names.findings) > before:
            return auth
        if not isinstance(auth, Jwt):
            if "token_url" not in data:  # left out, which has been said
                return auth
            place = (*path, "token_url")
            if found := breaks_target(str(data["token_url"])):
                self.names.findings.add(place, f"the URL holds {found}", "bad_url", "Write a space as %20")
            compile_origin(str(data["token_url"]), place, self.names.findings)
        return type(auth).read(data, path, self.names.findings)

    def _body(self, body: Any, path: Path) -> Template | None:
        if body is None:
            return None
        if not isinstance(body, dict | list):
            text = body if isinstance(body, str) else getattr(body, "text", None) or json.dumps(body)
            return self.names.template(text, path)
        return merged(self._json(body, path))

    def _json(self, value: Any, path: Path) -> list[Part]:
        """Compact JSON; templates are filled inside of strings, and what they hold is escaped."""
        if isinstance(value, str):
            inside = self.names.template(value, path, Encoding.JSON)
            return [LiteralPart('"'), *inside, LiteralPart('"')]
        if isinstance(value, Mapping):
            parts: list[Part] = [LiteralPart("{")]
            for index, (name, item) in enumerate(value.items()):
                parts += [LiteralPart("," if index else ""), *self._json(str(name), path), LiteralPart(":")]
                parts += self._json_field(str(name), item, path)
            return [*parts, LiteralPart("}")]
        if isinstance(value, list | tuple):
            parts = [LiteralPart("[")]
            for index, item in enumerate(value):
                parts += [LiteralPart("," if index else ""), *self._json(item, (*path, index))]
            return [*parts, LiteralPart("]")]
        return [LiteralPart(json.dumps(value))]

    def _json_field(self, name: str, value: Any, path: Path) -> list[Part]:
        """The value of an object's field, a literal credential as a slot."""
        place = (*path, name)
        if not is_sensitive(name) or isinstance(value, bool) or not isinstance(value, str | int | float):
            return self._json(value, place)
        if not isinstance(value, str):
            return [self._slot(json.dumps(value), place)]
        inside = self.names.template(value, place, Encoding.JSON)
        return [LiteralPart('"'), *self._hidden(inside, place), LiteralPart('"')]

    def _checks(self, expect: ExpectBody | None, path: Path) -> tuple[BodyCheck, ...]:
        if expect is None:
            return ()
        checks = []
        if expect.contains is not None:
            text = self.names.fixed(expect.contains, (*path, "contains"), "an expected text")
            checks.append(BodyCheck("contains", text))
        if expect.regex is not None:
            self._check_regex(expect.regex, (*path, "regex"))
            checks.append(BodyCheck("regex", expect.regex))
        if not checks and not self.names.findings.touch(*path):
            what = "expect_body says nothing to look for"
            self.names.findings.add(path, what, "missing_field", "Add `contains: …` or `regex: …`")
        return tuple(checks)

    def _check_regex(self, pattern: str, path: Path) -> None:
        try:
            compiled(pattern)
        except PatternError as error:
            self.names.findings.add(path, str(error), "bad_regex", error.hint)
