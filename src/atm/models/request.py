"""A request as a spec writes it, in an endpoint or a step: destination, headers, body, and what a good response is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from atm.models.auth import AUTH, AuthConfig
from atm.models.field_types import (
    Boolean,
    Choice,
    Duration,
    HeaderLines,
    Json,
    Kind,
    ListOf,
    MapOf,
    Nested,
    Parsed,
    Schema,
    Text,
    WrongValueError,
)
from atm.models.fields import Findings, Path, SpecModel, declared
from atm.models.threshold_spec import THRESHOLDS, Thresholds
from atm.models.written_values import describe

DEFAULT_STATUSES: tuple[int | str, ...] = (200, 201, 204)
_STATUS = re.compile(r"([1-5])xx|([1-5][0-9][0-9])(?:\s*-\s*([1-5][0-9][0-9]))?", re.IGNORECASE)
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""Characters of a method or header name (RFC 9110, 5.6.2)."""


def parse_status(value: int | str) -> tuple[int, int]:
    """Parse `200`, `"2xx"` or `"200-204"` to an inclusive range of status codes. Raises ValueError with a message."""
    match = _STATUS.fullmatch(str(value).strip())
    if not match:
        raise ValueError(f"{describe(value)} is not a status code, class or range")
    if match[1]:
        return int(match[1]) * 100, int(match[1]) * 100 + 99
    first, last = int(match[2]), int(match[3] or match[2])
    if last < first:
        raise ValueError(f'the range "{value}" ends before it begins')
    return first, last


def _status(value: Any) -> int | str:
    try:
        parse_status(value)
    except ValueError as error:
        hint = 'Write a code (204), a class ("2xx") or a range ("200-204")'
        raise WrongValueError(str(error), "bad_status", hint) from None
    return int(value) if isinstance(value, int) or value.strip().isdigit() else str(value).strip().lower()


def _method(value: Any) -> str:
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        hint = "A method is one word: GET, POST, PUT, PATCH, DELETE"
        raise WrongValueError(f"{describe(value)} is not an HTTP method", "bad_method", hint)
    if value.upper() == "CONNECT":
        hint = "Use `proxy` to send requests through a proxy"
        raise WrongValueError("CONNECT opens a tunnel and is not an API request", "bad_method", hint)
    return value.upper()


_STATUS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": "^[1-5]([xX]{2}|[0-9]{2}( *- *[1-5][0-9]{2})?)$"},
    ]
}
STATUSES = ListOf(Parsed(_status, _STATUS_SCHEMA), least=1, single=True)
METHOD = Parsed(_method, {"type": "string", "examples": ["GET", "POST", "PUT", "PATCH", "DELETE"]})
BODY = Json("string", "object", "array", "number", "boolean")


HeaderValue = str | Sequence[str] | None
"""The value of a header, several values (one line each), or None to remove a default header."""
HEADERS = MapOf(HeaderLines())


class ExpectBody(SpecModel):
    """Condition on the response body; a response that does not meet it counts as failed (`check_failed`)."""

    contains: str | None = declared(Text(1), "The body must contain this text.", default=None)
    regex: str | None = declared(Text(1), "The body must match this regular expression anywhere.", default=None)


EXPECT_BODY = Nested(ExpectBody, lambda text: {"contains": text}, {"type": "string"})


class MultipartPart(SpecModel):
    """A part of a multipart body: a file, or a text with a content type."""

    synonyms: ClassVar[Mapping[str, str]] = {"content_type": "type", "name": "filename", "text": "value"}

    file: str | None = declared(Text(1), "A file in the directory of the spec or below.", default=None)
    value: str | None = declared(Text(), "A text, instead of a file.", default=None)
    filename: str | None = declared(
        Text(1), "The name that is sent; default: the file's, none for a text.", default=None
    )
    type: str | None = declared(
        Text(1),
        "The content type; default: by the ending of the file's name, none for a text.",
        default=None,
        examples=["application/json"],
    )


class _Part(Kind):
    """A text, or a MultipartPart."""

    def __init__(self) -> None:
        self._part = Nested(MultipartPart)

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        return (self._part if isinstance(value, Mapping | MultipartPart) else Text()).read(value, path, findings)

    def schema(self, definitions: Schema) -> Schema:
        return {"anyOf": [Text().schema(definitions), self._part.schema(definitions)]}


class GraphQl(SpecModel):
    """A GraphQL request."""

    query: str = declared(Text(1), "The document.", examples=["query item($id: ID!) { item(id: $id) { name } }"])
    variables: dict[str, Any] = declared(Json("object"), "The variables.", default={})
    operation_name: str | None = declared(Text(1), "The operation, if the document has several.", default=None)


class CheckSpec(SpecModel):
    """A condition on the response that is counted by its name; a response that does not meet it is `check_failed`."""

    check: str = declared(
        Text(1), "The condition, see docs/reference/scenarios.md.", examples=["status == 200", "$.items | count > 0"]
    )
    name: str | None = declared(Text(1, 128), "Name in reports and thresholds; default: the condition.", default=None)
    counts_only: bool = declared(Boolean(), "Only count: a failure leaves the request ok.", default=False)


class Checks(Kind):
    """A list of conditions, or an object from the name of each to the condition."""

    def __init__(self) -> None:
        self._item = Nested(CheckSpec, lambda text: {"check": text}, Text(1).schema({}))
        self._list = ListOf(self._item, single=True)
        self._map = MapOf(self._item)

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        return (self._map if isinstance(value, Mapping) else self._list).read(value, path, findings)

    def schema(self, definitions: Schema) -> Schema:
        return {"anyOf": [*self._list.schema(definitions)["anyOf"], self._map.schema(definitions)]}


class ExtractSpec(SpecModel):
    """A value of the response that becomes a variable, in long form: one of the sources, and what to take of it."""

    json: str | None = declared(Text(1), "A JSONPath (RFC 9535).", default=None, examples=["$.token"])
    header: str | None = declared(Text(1), "The name of a header.", default=None)
    cookie: str | None = declared(Text(1), "The name of a cookie that the response sets.", default=None)
    regex: str | None = declared(Text(1), "A regular expression: its group 1, else the match.", default=None)
    status: bool | None = declared(Boolean(), "The status code.", default=None)
    body: bool | None = declared(Boolean(), "The whole body, as text.", default=None)
    pick: Literal["first", "last", "random", "all", "count"] = declared(
        Choice("first", "last", "random", "all", "count"), "Which of several matches.", default="first"
    )
    default: Any = declared(Json(), "The value if the response has none; without it, the request fails.", default=None)
    secret: bool = declared(Boolean(), "A credential: shown as *** in samples.", default=False)


class FormValue(Kind):
    """A text, or a list of texts: one field each."""

    def __init__(self) -> None:
        self._texts = ListOf(Text(), single=True)

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        return (self._texts if isinstance(value, list | tuple) else Text()).read(value, path, findings)

    def schema(self, definitions: Schema) -> Schema:
        return self._texts.schema(definitions)


class _Extract(Kind):
    """One line of text, or an ExtractSpec."""

    def __init__(self) -> None:
        self._long = Nested(ExtractSpec)

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        return (self._long if isinstance(value, Mapping | ExtractSpec) else Text(1)).read(value, path, findings)

    def schema(self, definitions: Schema) -> Schema:
        return {"anyOf": [{"type": "string"}, self._long.schema(definitions)]}


CHECKS = Checks()
EXTRACTS = MapOf(_Extract())
FORM = MapOf(FormValue())
MULTIPART = MapOf(_Part())
GRAPHQL = Nested(GraphQl, lambda text: {"query": text}, {"type": "string"})


def named_checks(checks: Sequence[CheckSpec] | dict[str, CheckSpec]) -> list[tuple[str | int, CheckSpec]]:
    """Return each check with its index in the list, or its name in the object."""
    return list(checks.items()) if isinstance(checks, dict) else list(enumerate(checks))


class RequestSpec(SpecModel):
    """What an endpoint and a step have in common."""

    shorts: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"), "url"
    )
    synonyms: ClassVar[Mapping[str, str]] = {
        **{method.lower(): method for method in shorts},
        "data": "body",
        "assert": "checks",
        "asserts": "checks",
        "expect": "checks",
        "status": "expected_status_codes",
        "capture": "extract",
    }
    url_key: ClassVar[str] = "url"
    """The field that gave this request's URL: `url`, or a method in short form."""

    url: str = declared(
        Text(1),
        "Request URL; one that starts with / continues `base_url`. `GET: URL` is short for method and url.",
        examples=["https://api.example.com/users"],
    )
    method: str = declared(METHOD, "HTTP method.", default="GET")
    headers: dict[str, HeaderValue] = declared(
        HEADERS, "Headers in addition to the spec's, which they override.", default={}
    )
    body: Any = declared(BODY, "Request body: text, or an object sent as JSON.", default=None)
    json: Any = declared(Json(), "Request body: any value, sent as JSON.", default=None, examples=[{"id": "{{uuid}}"}])
    form: dict[str, Any] | None = declared(
        FORM, "Request body: the fields of a form, sent as application/x-www-form-urlencoded.", default=None
    )
    multipart: dict[str, str | MultipartPart] | None = declared(
        MULTIPART,
        "Request body: texts and files, sent as multipart/form-data.",
        default=None,
        examples=[{"title": "{{uuid}}", "photo": {"file": "photo.svg"}}],
    )
    graphql: GraphQl | None = declared(
        GRAPHQL, "Request body: a GraphQL request; a text alone means `query`.", default=None
    )
    file: str | None = declared(
        Text(1), "Request body: the content of a file in the directory of the spec or below.", default=None
    )
    compress: Literal["gzip"] | None = declared(
        Choice("gzip"), "Send the body compressed, with Content-Encoding.", default=None
    )
    expected_status_codes: Sequence[int | str] | None = declared(
        STATUSES,
        "Status codes that count as ok; default: the spec's, or all if a check judges `status`.",
        default=None,
        examples=[[201], ["2xx", 404]],
    )
    expect_body: ExpectBody | None = declared(EXPECT_BODY, "Condition on the response body.", default=None)
    checks: Sequence[CheckSpec] | dict[str, CheckSpec] = declared(
        CHECKS,
        "Named conditions on the response.",
        default=(),
        examples=[["status == 200", "time < 500ms"]],
    )
    timeout: float | None = declared(Duration(positive=True), "Request timeout; default: the spec's.", default=None)
    auth: AuthConfig | None = declared(AUTH, "Credentials; default: the spec's; `{type: none}` for none.", default=None)
    thresholds: Thresholds = declared(THRESHOLDS, "Thresholds for this request only.", default=Thresholds())

    def _fill(self, data: Mapping[str, Any] | None, path: Path, findings: Findings) -> None:
        super()._fill(data, path, findings)
        values = vars(self)
        short = next((name for name in self.shorts if data and data.get(name) is not None), None)
        values["url_key"] = short or "url"
        if short is None:
            return
        if "method" in self.written and self.method != short:
            what = f"{short} and method: {self.method} contradict each other"
            findings.add((*path, "method"), what, "conflict", f"Remove `method`, or write `url` instead of `{short}`")
        values["method"] = short
        values["written"] = self.written | {"method"}

    @property
    def named_checks(self) -> list[tuple[str | int, CheckSpec]]:
        """Return each check with its index in the list, or its name in the object."""
        return named_checks(self.checks)
