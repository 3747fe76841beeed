"""`atm export`: write a run to one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from atm.cli.options import OutputOptions, RunArgument, ServerOption
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.cli.history import History


def command(
    run: RunArgument,
    file: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="File to write; default: named after the run.")
    ] = None,
    server: ServerOption = None,
    *,
    output: OutputOptions,
) -> int:
    """Export a run to one file: spec, environment, result, intervals and samples.

    `atm import` reads it on another machine. It holds no credentials. An existing file is not overwritten.
    """
    from atm.cli.history import with_history

    run_id, path = with_history(server, lambda history: _export(history, run, file))
    if output.json:
        output.document({"id": run_id, "file": str(path), "size_bytes": path.stat().st_size})
    else:
        from atm.models.figures import size

        output.out.lines([output.out.paper.line(f"wrote {path} ({size(path.stat().st_size)})")])
    return ExitCode.PASSED


async def _export(history: History, reference: str, file: str | None) -> tuple[str, Path]:
    from atm.cli.history.base import resolve_run
    from atm.storage.bundle import bundle_name

    run_id = await resolve_run(history, reference)
    path = Path(file or bundle_name((await history.run(run_id)).name, run_id))
    target = _Target(path)
    try:
        await history.export_to(run_id, target.file)
        target.keep()
    finally:
        target.close()
    return run_id, path


class _Target:
    """A file that is written atomically and never replaces an existing one."""

    def __init__(self, path: Path) -> None:
        """Raises SpecError if the file exists or cannot be created."""
        self._path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        if path.exists():
            what = f"{path} already exists"
            raise SpecError(Problem(what, "file_exists", path="--output", hint="Name another file"))
        try:
            self.file: BinaryIO = self._part.open("xb")
        except OSError as error:
            raise self._unwritable(error) from error

    def keep(self) -> None:
        """Publish the completed file under its name. Raises SpecError."""
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            # A link and not a rename, which would replace a file created in the meantime.
            os.link(self._part, self._path)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        self.file.close()
        self._part.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> SpecError:
        what = f"cannot write {self._path}: {error.strerror or error}"
        return SpecError(Problem(what, "unwritable", path="--output"))
