"""Several specs in one `atm run`: one after the other, with one table, one JUnit file and one exit code at the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atm.cli.batch_table import batch_lines
from atm.cli.error_code import code_of
from atm.cli.files import Writer, write_whole
from atm.cli.output import Output
from atm.cli.run_output import finish, write_files
from atm.cli.specs import compile_document, document_of, is_folder
from atm.cli.text import Style
from atm.dataclass import dataclass
from atm.engine.choose import choose_engine
from atm.errors import AtmError, CapabilityError, OutputError, Problem, SpecError
from atm.models.exit_code import ExitCode, first_of

if TYPE_CHECKING:
    from atm.models.run import RunResult
    from atm.plan.compile import CompiledTest
    from atm.plan.document import SpecDocument
    from atm.plan.overrides import Overrides

_IN_FOLDERS = (".yaml", ".yml")


@dataclass(slots=True)
class BatchEntry:
    """One spec of a batch and what became of it."""

    source: str
    name: str
    document: SpecDocument
    test: CompiledTest | None = None
    """None if a server runs it."""
    result: RunResult | None = None
    problem: Problem | None = None
    """Why it has no result: it could not be carried out."""
    code: ExitCode | None = None
    """None for one that was skipped."""


Execute = Callable[[BatchEntry], tuple["RunResult", bool]]
"""Runs a test; returns its result and whether it is in the history."""


def expanded(given: Sequence[str]) -> list[str]:
    """Return the sources; those of a folder are its YAML files, by name. Raises SpecError for one without any."""
    sources: list[str] = []
    for source in given:
        if not is_folder(source):
            sources.append(source)
            continue
        specs = sorted(str(file) for file in Path(source).iterdir() if file.suffix in _IN_FOLDERS and file.is_file())
        if not specs:
            hint = "Specs in a folder end in .yaml or .yml"
            raise SpecError(Problem(f"there is no spec in {source}", "spec_not_found", path="SPEC", hint=hint))
        sources += specs
    return sources


def compiled(sources: Sequence[str], overrides: Overrides) -> list[BatchEntry]:
    """Compile all specs and check that an engine can run each. Raises SpecError with the problems of all of them."""
    entries: list[BatchEntry] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            document = document_of(source, overrides)
            test = compile_document(document)
            choose_engine(test.plan)
            entries.append(BatchEntry(source, test.plan.name, document, test))
        except (SpecError, CapabilityError) as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise SpecError(problems)
    return entries


def for_server(sources: Sequence[str], overrides: Overrides) -> list[BatchEntry]:
    """Read all specs for a server that compiles them. Raises SpecError with the problems of all of them."""
    from atm.cli.remote_run import plain_spec

    entries: list[BatchEntry] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            document = document_of(source, overrides)
            entries.append(BatchEntry(source, str(plain_spec(document).get("name") or source), document))
        except SpecError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise SpecError(problems)
    return entries


def files_of_each(entries: Sequence[BatchEntry], files: Mapping[Path, Writer]) -> list[dict[Path, Writer]]:
    """Return the files of each test: `report.pdf` becomes `report-checkout.pdf` for the test `checkout`."""
    taken: set[str] = set()
    named = []
    for entry in entries:
        plain = re.sub(r"[^\w.-]+", "-", entry.name).strip("-.")[:80] or "test"
        label = next(
            label
            for number in range(1, len(entries) + 1)
            if (label := plain if number == 1 else f"{plain}-{number}").lower() not in taken
        )
        taken.add(label.lower())
        named.append({path.with_name(f"{path.stem}-{label}{path.suffix}"): writer for path, writer in files.items()})
    return named


def run_batch(
    entries: Sequence[BatchEntry],
    output: Output,
    execute: Execute,
    junit: Path | None,
    files: Mapping[Path, Writer],
) -> int:
    """Run the tests one after the other; a run that is stopped or cancelled skips the rest. Return the exit code.

    `files` are written for each test, with its name added.
    """
    of_each = files_of_each(entries, files)
    for number, entry in enumerate(entries, start=1):
        if not output.json:
            # With --quiet, only what stands in the report tells the tests apart.
            surface = output.out if output.quiet else output.err
            surface.lines([surface.paper.line(f" test {number} of {len(entries)}: {entry.name}", Style.DIM)])
        try:
            entry.code = _run(entry, output, execute, of_each[number - 1])
        except KeyboardInterrupt:
            entry.code = ExitCode.INTERRUPTED
        if entry.code is ExitCode.INTERRUPTED:
            break
    return _conclude(entries, output, junit)


def _run(entry: BatchEntry, output: Output, execute: Execute, files: Mapping[Path, Writer]) -> ExitCode:
    try:
        entry.result, saved = execute(entry)
    except OutputError:
        raise
    except AtmError as error:
        entry.problem = error.problems[0]
        if not output.json:
            output.failures(error.problems)
        return code_of(error)
    if output.json:
        written = write_files(entry.result, output, files)
        return first_of([ExitCode(entry.result.verdict.exit_code), written])
    return ExitCode(finish(entry.result, output, files, saved=saved))


def _conclude(entries: Sequence[BatchEntry], output: Output, junit: Path | None) -> int:
    code = first_of(entry.code for entry in entries if entry.code is not None)
    problems: list[Problem] = []
    if junit is not None:
        from atm.reports.junit import NotRun, render_suites

        suites = [entry.result or NotRun(entry.name, entry.problem.what if entry.problem else "") for entry in entries]
        try:
            write_whole(junit, render_suites(suites))
        except OutputError as error:
            problems += error.problems
            code = first_of([code, ExitCode.OUTPUT_FAILED])
    if output.json:
        output.document({"runs": [_document(entry) for entry in entries], "exit_code": int(code)})
    else:
        output.out.lines(batch_lines(entries, code, output.out.paper))
    output.failures(problems)
    return code


def _document(entry: BatchEntry) -> dict[str, object]:
    state = "ended" if entry.result else "failed" if entry.problem else "skipped"
    return {
        "spec": entry.source,
        "name": entry.name,
        "state": state,
        "error": entry.problem.what if entry.problem else None,
        "result": entry.result.model_dump(mode="json") if entry.result else None,
    }
