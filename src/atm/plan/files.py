"""Read the files that a spec names before the run: certificates, JSON Schemas, bodies."""

from __future__ import annotations

import json
from collections.abc import Callable

from atm.dataclass import dataclass
from atm.errors import DataError
from atm.models.fields import Path
from atm.plan import json_schemas
from atm.plan.templates import Names
from atm.tables.table_request import file_refused

ReadFile = Callable[[str], bytes]
FILE_MISSING = "file_missing"
"""The code of the problem that a saved test does not have a file which its spec names."""
MOST_BYTES = 16 * 1024**2
"""Longest schema or body."""


@dataclass(frozen=True, slots=True)
class Files:
    """Reads files before the run; problems are added to the findings."""

    names: Names
    read_file: ReadFile | None
    """Returns a file's bytes, or raises OSError, or DataError for one that must not be read; None: none may be read."""
    base: str = "the directory of the spec"
    """What paths are relative to."""
    instead: str = "Write its content into the spec"
    """What to do where no file may be read."""

    def content(self, name: str, path: Path) -> bytes | None:
        """Return the bytes of a file; None after a problem. The name may hold variables, but no credentials."""
        before = len(self.names.findings)
        file = self.names.fixed(name, path, "a file name", secrets=False)
        if len(self.names.findings) > before:
            return None
        try:
            if self.read_file is None:
                raise file_refused(file, self.instead)
            content = self.read_file(file)
        except DataError as error:
            for problem in error.problems:
                self.names.findings.add(path, problem.what, problem.code, problem.hint)
            return None
        except OSError as error:
            what = f'the file "{file}" cannot be read: {error.strerror or error}'
            self.names.findings.add(path, what, "file_not_read", f"Paths are relative to {self.base}")
            return None
        if len(content) > MOST_BYTES:
            what = f'the file "{file}" has {len(content):,} bytes; the maximum is {MOST_BYTES:,}'
            self.names.findings.add(path, what, "file_too_large", "Use a smaller file")
            return None
        return content

    def schema(self, name: str, path: Path) -> object:
        """Return the JSON Schema in a file; None after a problem."""
        content = self.content(name, path)
        if content is None:
            return None
        try:
            schema: object = json.loads(content)
        except (ValueError, RecursionError) as error:
            what = f'the file "{name}" is not JSON: {error}'
            self.names.findings.add(path, what, "bad_schema", "A JSON Schema is a JSON document")
            return None
        try:
            json_schemas.compiled(schema)
        except json_schemas.JsonSchemaError as error:
            self.names.findings.add(path, f'{error} (in "{name}")', "bad_schema", error.hint)
            return None
        return schema
