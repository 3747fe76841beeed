"""Parse `{{…}}` in the texts of a spec into parts that an engine only has to write out.

{{uuid}} {{timestamp}} {{timestamp_unix}} {{request_number}} {{random_int}}   differ per request
{{name}}                  from `variables`, which override the above; a secret slot if it has a credential name
{{env:NAME}}              a secret slot; its value in places that are not sent (the host, credentials)
{{target:NAME}}           TARGET_NAME of the environment, as text
{{…|raw}}                 without the encoding of its place
{{f(…)}} {{…|filter}}     functions and filters, and in a scenario the values of the user: `values.py`
\\{{                       two literal braces
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import Literal, cast, get_args

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.fields import Findings, Path, path_text
from atm.plan.program import Slot
from atm.plan.spec_mask import SCHEMES, hides_variable, is_sensitive
from atm.plan.template_parts import (
    Encoding,
    Filter,
    IterationSource,
    LiteralPart,
    NowSource,
    Part,
    RandomIntSource,
    SecretPart,
    Source,
    Template,
    TextSource,
    UuidSource,
    ValuePart,
    VariablePart,
)
from atm.plan.values import Call, Places, Scope, ValueSyntaxError, function_value, plain_filter, read_value, unquoted

_Name = Literal["uuid", "timestamp", "timestamp_unix", "request_number", "random_int"]
BUILT_INS: tuple[str, ...] = get_args(_Name)
_PIECE = re.compile(r"\\\{\{|\{\{(.*?)\}\}|\{\{", re.DOTALL)
_OPENING = re.compile(r"\\?\{\{")
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
MayRead = Callable[[str], bool]
MAXIMUM_EXPANDED = 16 * 1024**2
SETUP_SLOT = "setup."
"""The slots of values that `setup` extracts begin with it; they are filled in before the load starts."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template before encoding: literal text, a value, a secret or a per-request variable."""

    text: str = ""
    variable: str = ""
    slot: str = ""
    written: bool = False
    """The text is literal in the template, so it is not encoded."""
    raw: bool = False
    secret: str = ""
    """Source of a credential: `the variable api_token`, `the environment variable TOKEN`; empty for other text."""
    environment: str = ""
    """The environment variable that the text comes from."""
    value: ValuePart | None = None
    """A value that the engine computes; `variable` is its text in the spec."""


@dataclass(slots=True)
class Names:
    """The names that `{{…}}` may refer to, and the findings so far."""

    variables: Mapping[str, str]
    environment: Mapping[str, str]
    findings: Findings
    may_read: MayRead | None = None
    """Decides which environment variables `{{env:…}}` may read; None = all."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Slot to value, for every `{{env:…}}` that became a slot."""
    expanded: int = 0
    """Characters inserted by variables so far."""
    known: set[str] = field(default_factory=set)
    """Every credential read, even if it did not become a slot; messages must not contain them."""
    places: Places = field(default_factory=Places)
    scope: Scope | None = None
    """The values of the scenario that is being compiled; None for an endpoint."""
    setup_values: Mapping[str, Slot] = field(default_factory=dict)
    """The variables that `setup` extracts, once it is compiled."""
    data: frozenset[str] = frozenset()
    """The names of test data."""

    def template(self, text: str, path: Path, encoding: Encoding = Encoding.RAW) -> Template:
        """Parse a text whose literals need no encoding (a header, a text body, the content of a JSON string)."""
        return merged(self.part(piece, encoding) for piece in self.pieces(text, path))

    def fixed(self, text: str, path: Path, purpose: str, *, secrets: bool = True) -> str:
        """Return the value of a text that is needed before the run, so nothing in it may differ per request.

        Without `secrets`, a credential in it is a problem, because the value is displayed.
        """
        value = ""
        for piece in self.pieces(text, path, secrets=False):
            if piece.variable:
                what = f"{{{{{piece.variable}}}}} differs per request, which {purpose} must not"
                self.findings.add(path, what, "not_fixed", "Use a variable, {{env:NAME}} or plain text here")
            elif not secrets and not self.may_be_shown(piece):
                self.refuse_secret(piece, path, purpose)
            value += piece.text
        return value

    def refuse_secret(self, piece: Piece, path: Path, purpose: str) -> None:
        """Report a credential in a place that is displayed: a host, a file name, an expected text."""
        what = f"{piece.secret} is a credential, and {purpose} is shown in results and messages"
        hint = "Use plain text, a variable without a credential name, or {{target:NAME}} here"
        self.findings.add(path, what, "secret_shown", hint)

    def part(self, piece: Piece, encoding: Encoding) -> Part:
        """Convert a piece to a part of the plan, in the encoding of its place."""
        if piece.value is not None:
            return replace(piece.value, encoding=_value_encoding(piece, encoding))
        used = Encoding.RAW if piece.raw or encoding == Encoding.HEADER else encoding
        if piece.variable:
            return VariablePart(cast("_Name", piece.variable), used)
        if piece.slot:
            self.secrets[piece.slot] = piece.text
            return SecretPart(piece.slot, used)
        return LiteralPart(piece.text if piece.written and encoding != Encoding.JSON else encoded(piece.text, used))

    def pieces(self, text: str, path: Path, *, secrets: bool = True) -> list[Piece]:
        """Split a text into pieces; undefined names are reported and left out. `secrets`: `{{env:…}}` become slots."""
        return self._pieces(text, path, secrets=secrets, inside="")

    def _pieces(self, text: str, path: Path, *, secrets: bool, inside: str) -> list[Piece]:
        pieces: list[Piece] = []
        position = 0
        last = text.rfind("}}")
        for match in _PIECE.finditer(text, 0, max(last, 0) + 2):
            pieces.append(Piece(text[position : match.start()], written=True))
            position = match.end()
            if match[0].startswith("\\"):
                pieces.append(Piece("{{", written=True))
            elif match[1] is None:
                self._report_unclosed(match, path)
            else:
                pieces += self._resolve(match, path, secrets=secrets, inside=inside)
        pieces += self._rest(text, position, path)
        return [piece for piece in pieces if piece != Piece(written=True)]

    def _rest(self, text: str, position: int, path: Path) -> list[Piece]:
        """Handle the text after the last `}}`: literal, or an unclosed template."""
        pieces: list[Piece] = []
        for match in _OPENING.finditer(text, position):
            pieces.append(Piece(text[position : match.start()], written=True))
            position = match.end()
            if match[0].startswith("\\"):
                pieces.append(Piece("{{", written=True))
            else:
                self._report_unclosed(match, path)
        return [*pieces, Piece(text[position:], written=True)]

    def _report_unclosed(self, match: re.Match[str], path: Path) -> None:
        hint = r"Close it with }}, or write \{{ for two literal braces"
        self.findings.add(path, "{{ is never closed", "bad_template", hint, _character(match))

    def _resolve(self, match: re.Match[str], path: Path, *, secrets: bool, inside: str) -> list[Piece]:
        try:
            value = read_value(match[1])
            if value.source.arguments is not None:
                part = function_value(value.source, self.places)
                piece = Piece(variable=match[1].strip(), raw=value.raw, value=part)
                return self._filtered([piece], value.filters, match, path)
            name, raw = value.source.name, value.raw
            pieces = self._named(name, match, path, secrets=secrets or bool(value.filters), inside=inside, raw=raw)
            return self._filtered(pieces, value.filters, match, path) if value.filters else pieces
        except ValueSyntaxError as problem:
            self.findings.add(path, str(problem), problem.code, problem.hint, _character(match))
            return []

    def _named(
        self, name: str, match: re.Match[str], path: Path, *, secrets: bool, inside: str, raw: bool
    ) -> list[Piece]:
        kind, colon, key = name.partition(":")
        if colon and kind.strip() in ("env", "target"):
            return self._environment(kind.strip(), key.strip(), match, path, secrets=secrets, raw=raw)
        if name in self.variables and not inside:
            self._grow(len(self.variables[name]), path)
            value = self._pieces(self.variables[name], ("variables", name), secrets=secrets, inside=name)
            if not hides_variable(name, self.variables[name]):
                return [replace(p, written=False, raw=raw or p.raw) for p in value]
            shown = f"the variable {name}"
            self.known |= {p.text for p in value if not p.variable and p.text.strip().lower() not in SCHEMES}
            return [
                replace(
                    p, slot=_slot_of(p, name, index) if secrets else "", written=False, raw=raw or p.raw, secret=shown
                )
                for index, p in enumerate(value)
            ]
        if name in self.setup_values and not inside:
            source = TextSource(secret_slot=f"{SETUP_SLOT}{name}")
            part = ValuePart(source, is_secret=self.setup_values[name].is_secret)
            return [Piece(variable=name, raw=raw, value=part)]
        if self.scope is not None and not (inside and name in self.scope.slots):
            named = self.scope.named(name, path, _character(match))
            if named is not None:
                return [Piece(variable=name, raw=raw, value=named)]
        if name in BUILT_INS:
            return [Piece(variable=name, raw=raw)]
        self._unknown(name, match, path, inside)
        return []

    def whole_value(self, text: str, path: Path) -> ValuePart | None:
        """Return the computed value of a text that is a single `{{…}}`; None for other values, which are no problem."""
        before = len(self.findings)
        pieces = self.pieces(text, path)
        if len(self.findings) > before or len(pieces) != 1 or pieces[0].raw:
            return None
        return pieces[0].value

    def _filtered(self, pieces: list[Piece], calls: tuple[Call, ...], match: re.Match[str], path: Path) -> list[Piece]:
        """Return the pieces of one value as a piece with filters. Raises ValueSyntaxError if there are several."""
        if not pieces:  # not defined, which was reported
            return []
        filters = tuple(self._filter(call, path) for call in calls)
        part = self.single_value(pieces, match[1].strip())
        whole = replace(part, filters=(*part.filters, *filters))
        return [Piece(variable=match[1].strip(), raw=any(p.raw for p in pieces), value=whole)]

    def single_value(self, pieces: list[Piece], text: str) -> ValuePart:
        """Return the pieces of one `{{…}}` as a value. Raises ValueSyntaxError if a variable holds several."""
        if not any(piece.slot or piece.variable for piece in pieces):
            return ValuePart(TextSource("".join(piece.text for piece in pieces)))
        if len(pieces) > 1:
            what = f"{{{{{text}}}}} takes a variable as one value, and it holds several"
            raise ValueSyntaxError(what, "Use the values in it one by one")
        piece = pieces[0]
        if piece.value is not None:
            return piece.value
        if piece.slot:
            self.secrets[piece.slot] = piece.text
            return ValuePart(TextSource(secret_slot=piece.slot), is_secret=True)
        return ValuePart(self._computed(piece.variable))

    def _computed(self, name: str) -> Source:
        """Return the source of a built-in outside a scenario."""
        if name == "uuid":
            return UuidSource(self.places.take(2))
        if name == "random_int":
            return RandomIntSource(0, 999_999, self.places.take())
        if name == "request_number":
            return IterationSource()
        return NowSource(0, "unix" if name == "timestamp_unix" else "iso")

    def _filter(self, call: Call, path: Path) -> Filter:
        if call.name != "hmac_sha256":
            return plain_filter(call)
        argument = (call.arguments or ("",))[0]
        key = unquoted(argument)
        if key == argument:
            before = len(self.findings)
            key = self.fixed(f"{{{{{argument}}}}}", path, "the key of hmac_sha256")
            if len(self.findings) == before and not key:
                raise ValueSyntaxError("the key of hmac_sha256 is empty", "Write `hmac_sha256(env:KEY)`")
        self.known.add(key)
        slot = argument if argument.startswith("env:") else f"hmac_sha256({path_text(path)})"
        while self.secrets.get(slot, key) != key:
            slot += "+"
        self.secrets[slot] = key
        return Filter("hmac_sha256", key_slot=slot)

    def _grow(self, characters: int, path: Path) -> None:
        """Raises SpecError if variables expand a small spec to a huge plan."""
        self.expanded += characters
        if self.expanded > MAXIMUM_EXPANDED:
            what = f"the variables of the spec expand to more than {MAXIMUM_EXPANDED >> 20} Mi characters"
            hint = "Put long texts where they are used, not into a variable used many times"
            raise SpecError(Problem(what, "spec_too_large", path_text(path), hint=hint))

    def _environment(
        self, kind: str, key: str, match: re.Match[str], path: Path, *, secrets: bool, raw: bool
    ) -> list[Piece]:
        variable = f"TARGET_{key}" if kind == "target" else key
        if kind == "env" and self.may_read is not None and not self.may_read(key):
            what = f"{{{{env:{key}}}}} is not allowed on this server"
            hint = f"Add {key} to ATM_ENV_ALLOW on the server, or put the value into the spec"
            self.findings.add(path, what, "env_not_allowed", hint, _character(match))
            return []
        if variable not in self.environment:
            what = f"the environment variable {variable} is not set"
            self.findings.add(path, what, "env_not_set", f"Set it first: `export {variable}=…`", _character(match))
            return []
        value = self.environment[variable]
        if kind == "target":
            return [Piece(value, raw=raw, environment=variable)]
        if not key.startswith("TARGET_"):
            self.known.add(value)
        slot = f"env:{key}" if secrets else ""
        return [Piece(value, slot=slot, raw=raw, secret=f"the environment variable {key}", environment=key)]

    def may_be_shown(self, piece: Piece) -> bool:
        """Return whether a piece that may be a credential is allowed where it is displayed: in a host, a file name.

        Allowed are environment variables without a credential name; on a server only TARGET_….
        """
        key = piece.secret.removeprefix("the environment variable ")
        if not piece.secret or key == piece.secret:
            return not piece.secret
        return key.startswith("TARGET_") or (self.may_read is None and not is_sensitive(key))

    def _unknown(self, name: str, match: re.Match[str], path: Path, inside: str) -> None:
        slots = {} if self.scope is None else self.scope.slots
        if inside and (name in self.variables or name in self.setup_values or name in slots):
            what = f"{{{{{name}}}}} cannot be used inside another variable"
            hint = "Variables may hold built-ins and {{env:NAME}}, no other variables"
            self.findings.add(path, what, "nested_variable", hint, _character(match))
            return
        table, dot, _ = name.partition(".")
        if self.scope is None and dot and table in self.data:
            what = f"{{{{{name[:200]}}}}} is test data, which only steps of scenarios have"
            hint = "Write the request as a scenario of one step: `scenarios: {NAME: {steps: [{GET: /path}]}}`"
            self.findings.add(path, what, "no_test_data", hint, _character(match))
            return
        from atm.models.nearest import listed, nearest

        variables = [] if inside else [*self.variables, *self.setup_values]
        names = [*variables, *BUILT_INS]
        if self.scope is not None:
            names = [*variables, *self.scope.names()]
            names += [name for name in BUILT_INS if name != "request_number"]
        if close := nearest(name, names, cutoff=0.75):
            fix = f"Did you mean {{{{{close[0]}}}}}? "
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
            fix = f'Add `variables: {{{name}: "42"}}` or `--var {name}=42`. '
        else:
            fix = r"Write \{{ for two literal braces. "
        defined = listed(names)
        what = f"{{{{{name[:200]}}}}} is not defined"
        self.findings.add(path, what, "unknown_variable", f"{fix}Defined: {defined}", _character(match))


def percent_encoded(text: str, safe: str = "") -> str:
    """Encode all but unreserved characters (RFC 3986, 2.3) and `safe` as %XX of their UTF-8 bytes.

    Equals `urllib.parse.quote`, whose import costs more than all parsing in this package.
    """
    if text.isascii() and text.isalnum():
        return text
    unescaped = frozenset(f"{_UNRESERVED}{safe}".encode())
    return "".join(chr(byte) if byte in unescaped else f"%{byte:02X}" for byte in text.encode())


def encoded(text: str, encoding: Encoding) -> str:
    """Return a value in the encoding of its place."""
    if encoding == Encoding.PERCENT:
        return percent_encoded(text)
    return json.dumps(text, ensure_ascii=False)[1:-1] if encoding == Encoding.JSON else text


def merged(parts: Iterable[Part]) -> Template:
    """Join adjacent literals and drop empty ones."""
    result: list[Part] = []
    texts: list[str] = []
    for part in (*parts, None):
        if isinstance(part, LiteralPart):
            texts.append(part.text)
            continue
        if text := "".join(texts):
            result.append(LiteralPart(text))
        texts = []
        if part is not None:
            result.append(part)
    return tuple(result)


def _value_encoding(piece: Piece, encoding: Encoding) -> Encoding:
    """Return the encoding of a computed value: raw never breaks the request line or a header."""
    if not piece.raw:
        return encoding
    return {Encoding.PERCENT: Encoding.TARGET, Encoding.HEADER: Encoding.HEADER}.get(encoding, Encoding.RAW)


def _slot_of(piece: Piece, variable: str, index: int) -> str:
    """Return the slot for a piece of a variable with a credential name."""
    if piece.slot or piece.variable or piece.text.strip().lower() in SCHEMES:
        return piece.slot
    return f"variables.{variable}" + (f"#{index}" if index else "")


def _character(match: re.Match[str]) -> str:
    return f"character {match.start() + 1}"
