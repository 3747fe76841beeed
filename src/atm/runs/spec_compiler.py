"""Compile the specs of an installation: under its limits, and with the files of a saved test."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from atm.config import Settings
from atm.dataclass import dataclass
from atm.engine.choose import choose_engine
from atm.off_loop import off_loop
from atm.plan.compile import CompiledTest
from atm.runs.policy import Policy
from atm.runs.test_files import CheckedTables, FileReader, KnownTables, RunTables, TestFiles


@dataclass(frozen=True, slots=True)
class CheckedSpec:
    """A spec that was checked, and the files that it names."""

    test: CompiledTest
    files: Mapping[str, str | None]
    """The digest of each file by its name; None for one that the test does not have."""

    @property
    def used_files(self) -> dict[str, str]:
        """The files that the test has, with their digests."""
        return {name: digest for name, digest in self.files.items() if digest is not None}


class SpecCompiler:
    """Compiles specs in a thread, while the event loop stays free to read their files."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        """`environment` holds the variables for `{{env:…}}` in specs, as far as the policy allows them."""
        self._policy = Policy.of(settings)
        self._environment = environment
        self._data_dir = settings.data_dir
        self._tables = KnownTables()

    def check(
        self, spec: Mapping[str, Any], files: TestFiles | None = None, *, files_may_be_missing: bool = False
    ) -> CheckedSpec:
        """Compile a spec to find its problems; its plan cannot run, as no table is kept.

        With `files_may_be_missing`, files that the test does not have are noted. Raises SpecError with every problem,
        and CapabilityError.
        """
        with self._private_folder() as folder:
            reader = FileReader(files, folder)
            test = self._policy.compile(
                spec,
                self._environment,
                secrets.randbits(32),
                read_file=reader.read,
                open_table=CheckedTables(reader, folder, self._tables),
                files_may_be_missing=files_may_be_missing,
            )
        choose_engine(test.plan)
        return CheckedSpec(test, reader.named)

    def compile_to_run(self, spec: Mapping[str, Any], files: TestFiles | None, folder: Path) -> CompiledTest:
        """Compile a spec for a run. The tables of files are made in `folder`, which the caller removes after the run.

        Raises SpecError with every problem.
        """
        with self._private_folder() as copies:
            reader = FileReader(files, copies)
            return self._policy.compile(
                spec,
                self._environment,
                secrets.randbits(32),
                read_file=reader.read,
                open_table=RunTables(reader, folder, self._data_dir),
            )

    @asynccontextmanager
    async def compiled_to_run(self, spec: Mapping[str, Any], files: TestFiles | None) -> AsyncIterator[CompiledTest]:
        """Compile a spec to run it until the block ends. Raises SpecError, CapabilityError."""
        with self._private_folder() as folder:
            test = await off_loop(self.compile_to_run, spec, files, folder)
            choose_engine(test.plan)
            yield test

    @contextmanager
    def _private_folder(self) -> Iterator[Path]:
        """Give the path of a folder that may be made, and remove it at the end."""
        folder = (self._data_dir / "spool" / f".{secrets.token_hex(8)}").absolute()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
