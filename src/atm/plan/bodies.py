"""Compile the body of a request: text, JSON, a form, several parts, GraphQL, or a file."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from atm.dataclass import dataclass
from atm.models.fields import Path
from atm.models.request import GraphQl, MultipartPart
from atm.plan.files import Files
from atm.plan.hidden_text import HiddenText
from atm.plan.spec_mask import is_plural, is_secret_field, only_describes
from atm.plan.template_parts import (
    BytesPart,
    DataSource,
    Encoding,
    LiteralPart,
    Part,
    SlotSource,
    Template,
    TextSource,
    ValuePart,
)
from atm.plan.templates import SETUP_SLOT, merged, percent_encoded

BODIES = ("body", "json", "form", "multipart", "graphql", "file")
"""The fields that give a request its body."""
GRAPHQL_CHECK = ("no graphql errors", "$.errors missing or $.errors == null")
"""Name and condition of the check of every GraphQL response."""
_TYPES = {
    "json": "application/json",
    "xml": "application/xml",
    "csv": "text/csv",
    "txt": "text/plain",
    "html": "text/html",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "zip": "application/zip",
}
"""Content types by the ending of a file's name."""


@dataclass(slots=True)
class Bodies:
    """Compiles the bodies of requests."""

    texts: HiddenText
    files: Files

    def body(self, request: Any, path: Path) -> tuple[Template | None, str]:
        """Return the body of a request and its content type, which is empty for a text."""
        names = [name for name in BODIES if name in request.written]
        if len(names) > 1:
            what = f"a request has one body, and this one has {' and '.join(names)}"
            self.texts.names.findings.add((*path, names[-1]), what, "conflict", f"Keep one of: {', '.join(BODIES)}")
        if not names:
            return None, ""
        place = (*path, names[0])
        body = getattr(request, names[0])
        if names[0] == "form":
            return self._form(body, place), "application/x-www-form-urlencoded"
        if names[0] == "multipart":
            return self._multipart(body, place)
        if names[0] == "graphql":
            return self._graphql(body, place), "application/json"
        if names[0] == "file":
            return self._file(body, place), _type_of(str(body))
        if names[0] == "json" or isinstance(body, dict | list):
            return merged(self.json(body, place)), "application/json"
        text = body if isinstance(body, str) else getattr(body, "text", None) or json.dumps(body)
        return self.texts.text(text, place), ""

    def _form(self, form: Mapping[str, Any], path: Path) -> Template:
        """Compile the fields of a form (a space as %20); those with credential names become slots."""
        parts: list[Part] = []
        names = self.texts.names
        for name, value in form.items():
            for index, text in enumerate([value] if isinstance(value, str) else value):
                place = (*path, name) if isinstance(value, str) else (*path, name, index)
                inside = merged(
                    LiteralPart(percent_encoded(piece.text)) if piece.written else names.part(piece, Encoding.PERCENT)
                    for piece in names.pieces(text, place)
                )
                parts += [
                    LiteralPart("&" if parts else ""),
                    LiteralPart(f"{percent_encoded(name)}="),
                    *(self.texts.hidden(inside, place) if is_secret_field(name, form) else inside),
                ]
        return merged(parts)

    def _multipart(self, form: Mapping[str, str | MultipartPart], path: Path) -> tuple[Template, str]:
        """Compile the parts of a multipart body (RFC 7578)."""
        contents = {name: self._part(name, part, (*path, name)) for name, part in form.items()}
        written = [part for content in contents.values() for part in content]
        texts = "".join(
            part.text if isinstance(part, LiteralPart) else part.base64
            for part in written
            if isinstance(part, LiteralPart | BytesPart)
        )
        boundary = f"atm-{sha256(texts.encode()).hexdigest()[:32]}"
        parts: list[Part] = []
        for content in contents.values():
            parts += [LiteralPart(f"--{boundary}\r\n"), *content, LiteralPart("\r\n")]
        return merged([*parts, LiteralPart(f"--{boundary}--\r\n")]), f"multipart/form-data; boundary={boundary}"

    def _part(self, name: str, part: str | MultipartPart, path: Path) -> list[Part]:
        findings = self.texts.names.findings
        disposition = f'Content-Disposition: form-data; name="{_quoted(name)}"'
        if isinstance(part, str):
            return [LiteralPart(f"{disposition}\r\n\r\n"), *self._part_text(name, part, path)]
        if (part.file is None) == (part.value is None):
            if not findings.touch(*path):
                what = "a part of a multipart body has a file or a value"
                what += ", and this one has both" if part.file else ", and this one has none"
                code = "conflict" if part.file else "missing_field"
                findings.add(path, what, code, "Write `{file: photo.jpg}`, or `{value: text, type: text/plain}`")
            return []
        file_name = part.filename or (part.file or "").rpartition("/")[2]
        if file_name:
            disposition += f'; filename="{_quoted(file_name)}"'
        kind = part.type or ("" if part.file is None else _type_of(file_name) or "application/octet-stream")
        if any(ord(character) < 32 for character in kind):
            hint = "Write it as one line: `type: image/png`"
            findings.add((*path, "type"), "the type of a part holds a line break", "bad_header", hint)
        head = LiteralPart(f"{disposition}\r\nContent-Type: {kind}\r\n\r\n" if kind else f"{disposition}\r\n\r\n")
        if part.file is None:
            return [head, *self._part_text(name, part.value or "", (*path, "value"))]
        return [head, *self._file(part.file, (*path, "file"))]

    def _part_text(self, name: str, text: str, path: Path) -> Template:
        inside = self.texts.text(text, path)
        return self.texts.hidden(inside, path) if is_secret_field(name, {}) else inside

    def _file(self, name: str, path: Path) -> Template:
        """Return the content of a file, in which braces have no meaning: text in UTF-8, else bytes."""
        content = self.files.content(name, path)
        if content is None:
            return ()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            return (BytesPart(b64encode(content).decode()),)
        return self.texts.text(text.replace("{{", "\\{{"), path)

    def _graphql(self, graphql: GraphQl, path: Path) -> Template:
        """Compile a GraphQL request (GraphQL over HTTP): query, variables and operationName as JSON."""
        document: dict[str, Any] = {"query": graphql.query}
        if graphql.operation_name is not None:
            document["operationName"] = graphql.operation_name
        if graphql.variables:
            document["variables"] = graphql.variables
        return merged(self.json(document, path))

    def json(self, value: Any, path: Path) -> list[Part]:
        """Compile compact JSON; templates inside strings are filled in, and their values escaped."""
        if isinstance(value, str):
            if (typed := self._typed(value, path)) is not None:
                return [typed]
            return [LiteralPart('"'), *self.texts.text(value, path, Encoding.JSON), LiteralPart('"')]

        def field(name: str, item: Any, place: Path) -> list[Part]:
            secret = isinstance(value, Mapping) and is_secret_field(name, value)
            return self._json_secret(name, item, place) if secret else self.json(item, place)

        return self._json_container(value, path, field)

    def _typed(self, text: str, path: Path) -> ValuePart | None:
        """Return the value of a string that is one `{{…}}` of the user or of test data, which keeps its type.

        None for every other string, and if there are problems.
        """
        if not (text.startswith("{{") and text.endswith("}}")) or "{{" in text[2:]:
            return None
        value = self.texts.names.whole_value(text, path)
        if value is None:
            return None
        if value.filters and value.filters[-1].name == "json":
            return replace(value, encoding=Encoding.RAW)
        source = value.source
        is_of_setup = isinstance(source, TextSource) and source.secret_slot.startswith(SETUP_SLOT)
        if value.filters or not (is_of_setup or isinstance(source, SlotSource | DataSource)):
            return None
        return replace(value, encoding=Encoding.JSON_VALUE)

    def _json_secret(self, name: str, value: Any, path: Path) -> list[Part]:
        """Compile the value of a field with a credential name: every text and number in it becomes a slot."""
        if isinstance(value, str):
            if (typed := self._typed(value, path)) is not None:
                return [replace(typed, is_secret=True)]
            inside = self.texts.names.template(value, path, Encoding.JSON)
            return [LiteralPart('"'), *self.texts.hidden(inside, path), LiteralPart('"')]
        if isinstance(value, int | float) and not isinstance(value, bool) and not is_plural(name):
            return [self.texts.slot(json.dumps(value), path)]

        def field(name: str, item: Any, place: Path) -> list[Part]:
            return self.json(item, place) if only_describes(name, item) else self._json_secret("", item, place)

        return self._json_container(value, path, field)

    def _json_container(self, value: Any, path: Path, field: Callable[[str, Any, Path], list[Part]]) -> list[Part]:
        """Write an object or list, its members by `field`; other values unchanged."""
        if isinstance(value, Mapping):
            parts: list[Part] = [LiteralPart("{")]
            for index, (name, item) in enumerate(value.items()):
                parts += [LiteralPart("," if index else ""), *self.json(str(name), path), LiteralPart(":")]
                parts += field(str(name), item, (*path, str(name)))
            return [*parts, LiteralPart("}")]
        if isinstance(value, list | tuple):
            parts = [LiteralPart("[")]
            for place, item in enumerate(value):
                parts += [LiteralPart("," if place else ""), *field("", item, (*path, place))]
            return [*parts, LiteralPart("]")]
        return [LiteralPart(json.dumps(value))]


def _type_of(file_name: str) -> str:
    """Return the content type by the ending of a file's name; empty if it is unknown."""
    return _TYPES.get(file_name.rpartition(".")[2].lower(), "")


def _quoted(name: str) -> str:
    """Return a name for a Content-Disposition header, escaped as browsers do."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
