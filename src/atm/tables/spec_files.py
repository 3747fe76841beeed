"""The files that a spec names: paths relative to its directory, and inside that directory's tree."""

from __future__ import annotations

from pathlib import Path

from atm.errors import DataError, Problem


class SpecFiles:
    """Finds and reads the files of a spec."""

    def __init__(self, directory: Path) -> None:
        """`directory` is that of the spec; for a spec without a file, the working directory."""
        self._directory = directory

    def path(self, file: str) -> Path:
        """Return the absolute path of a file, with links followed. Raises DataError if it is outside."""
        base = self._directory.resolve()
        path = (base / file).resolve()
        if not path.is_relative_to(base):
            what = f'the file "{file}" is outside of the directory of the spec'
            hint = f"Move it there, or below it: {base}"
            raise DataError(Problem(what, "file_not_allowed", hint=hint))
        return path

    def read(self, file: str) -> bytes:
        """Return the bytes of a file. Raises DataError if it is outside, and OSError."""
        return self.path(file).read_bytes()
