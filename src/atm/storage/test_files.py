"""The data files of saved tests: records, the rule for names, and the store.

Contents are stored once per SHA-256 digest, however many tests have them, and as long as a test has them or a run that
has not ended names them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from atm.dataclass import dataclass
from atm.errors import ConflictError, NotFoundError, Problem, SpecError

MOST_FILES = 100
"""Files of one test."""
CHUNK_BYTES = 1 << 20
_MOST_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class TestFile:
    """A file of a saved test. Its name is unique in the test."""

    __test__ = False  # pytest would collect the class by its name

    test_id: str
    name: str
    digest: str
    """SHA-256 of the content, in hexadecimal digits."""
    size: int
    updated_at: datetime


class TestFileStore(Protocol):
    """The store of the files of saved tests."""

    async def put(self, file: TestFile, source: Path, most_bytes: int) -> None:
        """Store or replace a file of a test; `source` has its content, whose digest and size are in `file`.

        `most_bytes` limits the contents of all tests together. Raises NotFoundError `test_not_found`, ConflictError
        `files_full`, `too_many_files`.
        """
        ...

    async def of_test(self, test_id: str) -> tuple[TestFile, ...]:
        """Return the files of a test, ordered by name; none for a missing test."""
        ...

    def read(self, digest: str) -> AsyncIterator[bytes]:
        """Yield the content with this digest in chunks. Raises NotFoundError `file_not_found`."""
        ...

    async def delete(self, test_id: str, name: str) -> None:
        """Delete a file of a test. Raises NotFoundError `file_not_found`."""
        ...

    async def total_bytes(self) -> int:
        """Return the size of all contents."""
        ...


def name_problem(name: str) -> str:
    """Return what is wrong with the name of a file; empty for a valid one.

    It is a name and never a path: it cannot lead out of a directory, hide a file, or break a line.
    """
    if not name or name != name.strip():
        return "it is empty, or begins or ends with a space"
    if len(name.encode(errors="surrogatepass")) > _MOST_NAME_BYTES:
        return f"it is longer than {_MOST_NAME_BYTES} bytes"
    if "/" in name or "\\" in name:
        return "it has a separator of directories"
    if name.startswith("."):
        return "it begins with a dot"
    if not name.isprintable():
        return "it has a control character"
    return ""


def checked_file_name(name: str) -> str:
    """Return `name` if it is valid. Raises SpecError `bad_file_name`."""
    if problem := name_problem(name):
        what = f"{name[:80]!a} cannot be the name of a file: {problem}"
        raise SpecError(Problem(what, "bad_file_name", path="file", hint="use a plain name such as accounts.csv"))
    return name


def file_not_found(name: str) -> NotFoundError:
    """Return the error for a file that a test does not have, or a content that is gone."""
    return NotFoundError(Problem(f"there is no file {name[:80]!r}", "file_not_found"))


def check_room(used: int, added: int, most_bytes: int) -> None:
    """Raise ConflictError `files_full` if contents of `added` bytes do not fit beside `used` ones."""
    if used + added > most_bytes:
        what = (
            f"the files of all tests may have {most_bytes:,} bytes together; {used:,} are used, and this has {added:,}"
        )
        hint = "delete files that are no longer needed, or have ATM_MAX_FILES_BYTES raised"
        raise ConflictError(Problem(what, "files_full", hint=hint))


def check_number(number: int) -> None:
    """Raise ConflictError `too_many_files` if a test may not have this many files."""
    if number > MOST_FILES:
        what = f"a test has at most {MOST_FILES} files"
        raise ConflictError(Problem(what, "too_many_files", hint="delete files that it no longer needs"))
