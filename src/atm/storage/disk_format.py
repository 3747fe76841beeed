"""Versioned JSON form of records, in files and bundles.

- A new field needs a default in its class, which older files then get; the format version stays.
- A renamed field, or one with a changed meaning, needs a new version and a step that converts older documents.
- Documents of a newer version are refused with an error that says so. Unknown fields of the same version are ignored.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

from atm.storage.records import RunEvent
from atm.storage.result import dumps

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Record = TypeVar("_Record", bound="DataclassInstance")
Step = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts a document of one version to the next."""

_VERSION = "format"
_SEALED = "sealed"
"""The only field of bytes, in base64."""


class NewerFormatError(ValueError):
    """The document has a format version that only a newer program can read."""


class DiskFormat(Generic[_Record]):
    """The versioned JSON form of a dataclass."""

    def __init__(self, kind: type[_Record], steps: Sequence[Step] = ()) -> None:
        """`steps` convert from version 1, which the first files have implicitly, to the current version."""
        self._kind = kind
        self._steps = tuple(steps)
        self._is_sealed = any(field.name == _SEALED for field in fields(kind))

    @cached_property
    def _adapter(self) -> TypeAdapter[_Record]:
        """Built when it is first needed, as most processes need few of the formats."""
        return TypeAdapter(self._kind)

    @property
    def version(self) -> int:
        """The version that is written."""
        return len(self._steps) + 1

    def document(self, record: _Record) -> dict[str, Any]:
        """Return the record as JSON data."""
        sealed: bytes | None = getattr(record, _SEALED) if self._is_sealed else None
        plain = replace(record, sealed=None) if self._is_sealed else record
        document: dict[str, Any] = {_VERSION: self.version, **self._adapter.dump_python(plain, mode="json")}
        if self._is_sealed:
            document[_SEALED] = b64encode(sealed).decode() if sealed is not None else None
        return document

    def text(self, record: _Record) -> str:
        """Return the record as one line of JSON."""
        return dumps(self.document(record))

    def record(self, document: Any) -> _Record:
        """Return the record of a document of this or an older version. Raises ValueError, and NewerFormatError."""
        if not isinstance(document, dict):
            raise ValueError(f"not a {self._kind.__name__}, but {type(document).__name__}")
        content = dict(document)
        version = content.pop(_VERSION, 1)
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"{version!r} is not a format version")
        if version > self.version:
            name = self._kind.__name__
            raise NewerFormatError(
                f"{name} has format {version} of a newer version; this version reads up to {self.version}"
            )
        for step in self._steps[version - 1 :]:
            content = step(content)
        if self._is_sealed and content.get(_SEALED) is not None:
            content[_SEALED] = b64decode(content[_SEALED])
        return self._adapter.validate_python(content)


EVENT = DiskFormat(RunEvent)
"""Events in the files of a run, and in bundles."""
