"""The Python API: run a spec from a program.

result = atm.run_sync({"name": "shop", "url": "http://127.0.0.1:8080/", "requests_per_second": 50, "duration": "10s"})
print(result.verdict.passed, result.metrics.latency_p99_ms)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm.engine.base import Control
    from atm.metrics.interval import Interval
    from atm.models.run import RunResult
    from atm.models.spec import TestSpec
    from atm.plan.code_hooks import HookFile
    from atm.plan.code_scenarios import CodeFunction
    from atm.plan.compile import CompiledTest


def new_seed() -> int:
    """Return a random seed for a spec without one: 32 bits, short enough to type."""
    return int.from_bytes(os.urandom(4), "big")


def compile_spec(
    spec: Mapping[str, Any] | TestSpec | str | os.PathLike[str],
    environment: Mapping[str, str] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
) -> CompiledTest:
    """Compile a spec: an object, a `TestSpec`, the path of a YAML or JSON file, or a URL (tested with GET).

    Files that it names are in the directory of the spec, or for an object in the working directory, or below; those of
    `tls` are relative to the working directory.
    `environment` holds the variables for `{{env:NAME}}`, by default those of the process. `settings` are fields that
    override those of the spec. Raises SpecError with all
    problems of the spec, and OSError when a file cannot be read.
    """
    from atm.plan.compile import compile_plan
    from atm.plan.document import SpecDocument
    from atm.plan.spec_reader import read_spec_text
    from atm.tables.spec_files import SpecFiles
    from atm.tables.spec_tables import SpecTables

    source: SpecDocument | TestSpec | Mapping[str, Any]
    directory = Path()
    if isinstance(spec, str) and spec.startswith(("http://", "https://")):
        source = {"name": spec, "url": spec}
    elif isinstance(spec, str | os.PathLike) and os.fspath(spec).endswith(".py"):
        from atm.code.document import read_code_spec

        source = read_code_spec(os.fspath(spec))
        directory = Path(spec).parent
    elif isinstance(spec, str | os.PathLike):
        source = read_spec_text(Path(spec).read_bytes(), os.fspath(spec))
        directory = Path(spec).parent
    else:
        source = spec
    if settings:
        document = source if isinstance(source, SpecDocument) else SpecDocument(_data_of(source))
        source = replace(document, data={**document.data, **settings})
    return compile_plan(
        source,
        os.environ if environment is None else environment,
        default_seed=new_seed(),
        read_file=SpecFiles(directory).read,
        read_tls_file=lambda name: Path(name).read_bytes(),
        open_table=SpecTables(directory),
        open_code=lambda text: _open_code(text, directory),
        open_hooks=lambda text: _open_hooks(text, directory),
    )


def _data_of(spec: TestSpec | Mapping[str, Any]) -> Mapping[str, Any]:
    return spec if isinstance(spec, Mapping) else spec.to_data()


def _open_hooks(text: str, directory: Path) -> HookFile:
    from atm.code.hook_file import open_hooks

    return open_hooks(text, directory)


def _open_code(text: str, directory: Path) -> CodeFunction:
    from atm.code.module import open_function

    return open_function(text, directory)


async def run(
    spec: Mapping[str, Any] | TestSpec | str | os.PathLike[str],
    *,
    on_interval: Callable[[Interval], None] | None = None,
    control: Control | None = None,
    environment: Mapping[str, str] | None = None,
) -> RunResult:
    """Run a load test and return its result.

    `spec` is an object, a `TestSpec`, the path of a YAML or JSON file, or a URL. `on_interval` is called after each
    second with its metrics. `control` stops or cancels the run from any thread. Cancelling the awaiting task cancels
    the run. Raises SpecError with all problems of the spec, CapabilityError, CredentialError and UnreachableError
    before the first request; failed requests and missed thresholds are part of the result.
    """
    from atm.fleet.launch import execution_of

    return await execution_of(compile_spec(spec, environment), control=control).run(on_interval)


def run_sync(
    spec: Mapping[str, Any] | TestSpec | str | os.PathLike[str],
    *,
    on_interval: Callable[[Interval], None] | None = None,
    control: Control | None = None,
    environment: Mapping[str, str] | None = None,
) -> RunResult:
    """`run` for programs without an event loop."""
    return asyncio.run(run(spec, on_interval=on_interval, control=control, environment=environment))
