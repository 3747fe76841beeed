"""The parts of a template: literal text and bytes, values that differ per request, secrets, and how each is encoded."""

from __future__ import annotations

from base64 import b64decode
from enum import StrEnum
from typing import Literal

from atm.dataclass import dataclass


class Encoding(StrEnum):
    """How a value is encoded at its place."""

    RAW = "raw"
    PERCENT = "percent"
    """RFC 3986: all but unreserved characters (A-Z a-z 0-9 - . _ ~) as %XX of their UTF-8 bytes."""
    JSON = "json"
    """The content of a JSON string, without the quotes."""
    JSON_VALUE = "json_value"
    """Values only: the value as JSON, a text with its quotes."""
    HEADER = "header"
    """Values only: control characters are left out (a line feed would begin another header)."""
    TARGET = "target"
    """Values only: control characters, spaces and non-ASCII bytes as %XX, everything else unchanged."""


@dataclass(frozen=True, slots=True)
class LiteralPart:
    """Text that is sent unchanged."""

    text: str
    part: Literal["literal"] = "literal"


@dataclass(frozen=True, slots=True)
class BytesPart:
    """Bytes that are not text and are sent unchanged; in bodies only."""

    base64: str
    """The bytes (RFC 4648, with padding), since a plan is JSON."""
    part: Literal["bytes"] = "bytes"

    @property
    def content(self) -> bytes:
        """Return the bytes."""
        return b64decode(self.base64)


@dataclass(frozen=True, slots=True)
class VariablePart:
    """A value that differs per request.

    `uuid` (version 4, lower case) and `random_int` (0 to 999,999) are functions of (seed, request number): all their
    occurrences in one request are equal. `timestamp` is the wall time as `2026-01-31T12:34:56.789012+00:00`,
    `timestamp_unix` whole seconds; both are read when the request is rendered.
    """

    name: Literal["uuid", "timestamp", "timestamp_unix", "request_number", "random_int"]
    encoding: Encoding = Encoding.RAW
    part: Literal["variable"] = "variable"


@dataclass(frozen=True, slots=True)
class SecretPart:
    """The value of a secret slot, which may change during the run (a renewed token)."""

    slot: str
    encoding: Encoding = Encoding.RAW
    part: Literal["secret"] = "secret"


@dataclass(frozen=True, slots=True)
class SlotSource:
    """A variable of the user; unset, it is the empty text."""

    slot: int
    source: Literal["slot"] = "slot"


@dataclass(frozen=True, slots=True)
class DataSource:
    """A cell of the current row of a data table."""

    table: int
    column: int
    place: int = 0
    """For a table per use: the row is `below(draw_at(seed, iteration, place, round), rows)`."""
    source: Literal["data"] = "data"


@dataclass(frozen=True, slots=True)
class UserSource:
    """The 1-based number of the user in its scenario, over all threads; in the open model, of the iteration."""

    source: Literal["user"] = "user"


@dataclass(frozen=True, slots=True)
class IterationSource:
    """The 1-based number of the iteration; for an endpoint, of the request."""

    source: Literal["iteration"] = "iteration"


@dataclass(frozen=True, slots=True)
class UuidSource:
    """A version 4 UUID, lower case, from the draws at `place` and `place + 1`."""

    place: int
    source: Literal["uuid"] = "uuid"


@dataclass(frozen=True, slots=True)
class RandomIntSource:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int
    place: int
    source: Literal["random_int"] = "random_int"


@dataclass(frozen=True, slots=True)
class RandomStringSource:
    """Lower-case letters and digits, see `randomness.random_string`."""

    length: int
    place: int
    source: Literal["random_string"] = "random_string"


@dataclass(frozen=True, slots=True)
class RandomChoiceSource:
    """One of several texts, each as likely."""

    choices: tuple[str, ...]
    place: int
    source: Literal["random_choice"] = "random_choice"


@dataclass(frozen=True, slots=True)
class NowSource:
    """The wall time when the request is rendered, plus `offset_ns`.

    `iso`: as `{{timestamp}}`; `unix`, `unix_ms`: whole seconds, milliseconds; `date`: 2026-01-31; `time`: 12:34:56;
    all in UTC.
    """

    offset_ns: int
    format: Literal["iso", "unix", "unix_ms", "date", "time"]
    source: Literal["now"] = "now"


@dataclass(frozen=True, slots=True)
class TextSource:
    """A constant text, to be filtered: a literal, or the value of a secret slot."""

    text: str = ""
    secret_slot: str = ""
    source: Literal["text"] = "text"


Source = (
    SlotSource
    | DataSource
    | UserSource
    | IterationSource
    | UuidSource
    | RandomIntSource
    | RandomStringSource
    | RandomChoiceSource
    | NowSource
    | TextSource
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A conversion of the value before it; the result is text.

    `base64` and `base64url` (without padding, RFC 4648), `sha256` and `hmac_sha256` (lower-case hexadecimal) work on
    UTF-8 bytes; `url` is PERCENT; `lower`, `upper` are Unicode's simple mappings; `json` is JSON_VALUE.
    """

    name: Literal["base64", "base64url", "sha256", "hmac_sha256", "url", "lower", "upper", "json"]
    key: str = ""
    """For `hmac_sha256`."""
    key_slot: str = ""
    """For `hmac_sha256`: the secret slot that holds the key."""


@dataclass(frozen=True, slots=True)
class ValuePart:
    """A value of the user, of test data or of a function, through its filters in order."""

    source: Source
    filters: tuple[Filter, ...] = ()
    encoding: Encoding = Encoding.RAW
    is_secret: bool = False
    """Shown as *** in samples."""
    part: Literal["value"] = "value"


Part = LiteralPart | BytesPart | VariablePart | SecretPart | ValuePart
Template = tuple[Part, ...]
"""Parts in order; the empty tuple is the empty string. The compiler merges adjacent literals."""


def secret_slots(part: Part) -> frozenset[str]:
    """Return the secret slots that a part is rendered from."""
    if isinstance(part, SecretPart):
        return frozenset({part.slot})
    if not isinstance(part, ValuePart):
        return frozenset()
    source = part.source.secret_slot if isinstance(part.source, TextSource) else ""
    return frozenset({source, *(step.key_slot for step in part.filters)} - {""})
