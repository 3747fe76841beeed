"""How a record is written as JSON, in files and bundles: with the version of its format.

- A field that comes later needs a default in its class, which is what older files mean; then the version stays.
- A field that is renamed, or means something else, needs a new version, and a step that brings older documents to it.
- What a newer version wrote is refused by its version, and named as such. Fields of the same version that this one does
  not know are ignored.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

from atm.storage.records import RunEvent
from atm.storage.result import dumps

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Record = TypeVar("_Record", bound="DataclassInstance")
Step = Callable[[dict[str, Any]], dict[str, Any]]
"""From the documents of one version to those of the next."""

_VERSION = "format"
_SEALED = "sealed"
"""The one field that holds bytes, in base64."""


class NewerFormatError(ValueError):
    """A document in a format that only a newer version of the program reads."""


class DiskFormat(Generic[_Record]):
    """The JSON form of one dataclass."""

    def __init__(self, kind: type[_Record], steps: Sequence[Step] = ()) -> None:
        """`steps` lead from version 1, which the first files have without saying so, to the one that is written."""
        self._adapter: TypeAdapter[_Record] = TypeAdapter(kind)
        self._steps = tuple(steps)
        self._name = kind.__name__
        self._is_sealed = any(field.name == _SEALED for field in fields(kind))

    @property
    def version(self) -> int:
        """What is written."""
        return len(self._steps) + 1

    def document(self, record: _Record) -> dict[str, Any]:
        """The record as JSON data."""
        sealed: bytes | None = getattr(record, _SEALED) if self._is_sealed else None
        plain = replace(record, sealed=None) if self._is_sealed else record
        document: dict[str, Any] = {_VERSION: self.version, **self._adapter.dump_python(plain, mode="json")}
        if self._is_sealed:
            document[_SEALED] = b64encode(sealed).decode() if sealed is not None else None
        return document

    def text(self, record: _Record) -> str:
        """The record as one line of JSON."""
        return dumps(self.document(record))

    def record(self, document: Any) -> _Record:
        """The record of a document of this version or an older one. Raises ValueError, and NewerFormatError."""
        if not isinstance(document, dict):
            raise ValueError(f"no {self._name}, but {type(document).__name__}")
        content = dict(document)
        version = content.pop(_VERSION, 1)
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"{version!r} is no version of a format")
        if version > self.version:
            raise NewerFormatError(
                f"{self._name} is in format {version}, which a newer version wrote; this one reads up to {self.version}"
            )
        for step in self._steps[version - 1 :]:
            content = step(content)
        if self._is_sealed and content.get(_SEALED) is not None:
            content[_SEALED] = b64decode(content[_SEALED])
        return self._adapter.validate_python(content)


EVENT = DiskFormat(RunEvent)
"""In the files of a run, and in bundles."""
