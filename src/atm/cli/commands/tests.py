"""`atm tests`: tests stored on a server, over its Control API."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.option_values import Commands
from atm.cli.options import OutputOptions, TextOutputOptions
from atm.cli.server_client import DEFAULT_SERVER, on_server, server_option
from atm.cli.text import Style
from atm.dataclass import dataclass
from atm.errors import AtmError, NotFoundError, Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.client import ControlClient
    from atm.models.control.test_files import SavedTestView
    from atm.plan.document import SpecDocument

app = Commands()

Server = Annotated[str, server_option("Server that stores the tests.")]


@app.callback()
def _tests() -> None:
    """Store tests on a server, with the files that they name."""


@dataclass(frozen=True, slots=True)
class _Pushed:
    """A stored test, and what became of its files."""

    test: SavedTestView
    is_new: bool
    uploaded: tuple[str, ...]
    unchanged: tuple[str, ...]


@app.command("push")
def push(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec file.")],
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Set a tag of the test; repeatable.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="Describe the test.")] = None,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Store a spec as a test on a server, and upload the files that it names.

    A test of the same name is replaced; without --tag and --description it keeps its own. Files are read from the
    directory of the spec, and those that the server already has are not sent again.
    """
    from atm.cli.remote_run import plain_spec
    from atm.cli.specs import read_source

    if spec == "-":
        raise SpecError(
            Problem("a spec from stdin has no directory of files", "usage", path="SPEC", hint="Name a file")
        )
    document = read_source(spec)
    plain = plain_spec(document)
    pushed = on_server(server, lambda control: _push(control, document, plain, description, tag))
    if output.json:
        shown = {
            "id": pushed.test.id,
            "name": pushed.test.name,
            "created": pushed.is_new,
            "uploaded": list(pushed.uploaded),
            "unchanged": list(pushed.unchanged),
        }
        output.document(shown)
        return ExitCode.PASSED
    paper = output.out.paper
    verb = "stored" if pushed.is_new else "replaced"
    lines = [paper.line(f"{verb} the test {pushed.test.name} on {server}")]
    lines += [paper.line(f"  uploaded   {name}", Style.DIM) for name in pushed.uploaded]
    lines += [paper.line(f"  unchanged  {name}", Style.DIM) for name in pushed.unchanged]
    output.out.lines(lines)
    return ExitCode.PASSED


@app.command("report")
def report(
    file: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="PDF file to write.")] = "tests.pdf",
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only tests with this tag.")] = None,
    server: Server = DEFAULT_SERVER,
    *,
    output: TextOutputOptions,
) -> int:
    """Write a PDF over the tests of a server.

    It has the last verdict of each test, the trend of its last runs, and what failed.
    """
    from atm.cli.files import write_whole

    write_whole(Path(file), on_server(server, lambda control: control.tests_report(tag=tag)))
    output.err.lines([output.err.paper.line(f" wrote {file}")])
    return ExitCode.PASSED


async def _push(
    control: ControlClient,
    document: SpecDocument,
    spec: dict[str, object],
    description: str | None,
    tags: list[str] | None,
) -> _Pushed:
    from atm.cli.remote_run import with_place

    try:
        test, is_new = await _stored(control, spec, description, tags)
    except SpecError as error:
        raise SpecError([with_place(problem, document) for problem in error.problems]) from error
    uploaded, unchanged = await _upload(control, test, Path(document.name).parent)
    return _Pushed(test, is_new, uploaded, unchanged)


async def _stored(
    control: ControlClient, spec: dict[str, object], description: str | None, tags: list[str] | None
) -> tuple[SavedTestView, bool]:
    try:
        before = await control.test(str(spec["name"]))
    except NotFoundError:
        return await control.create_test(spec, description=description or "", tags=tags or ()), True
    replaced = await control.replace_test(
        before.id,
        spec,
        description=before.description if description is None else description,
        enabled=before.enabled,
        tags=before.tags if tags is None else tags,
    )
    return replaced, False


async def _upload(
    control: ControlClient, test: SavedTestView, directory: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Upload the files that the spec names. Raises SpecError with every file that was not uploaded."""
    from atm.storage.test_files import name_problem

    stored = {file.name: file.sha256 for file in (await control.files.of_test(test.id)).files}
    uploaded, unchanged, problems = [], [], []
    for name in test.named_files:
        path = directory / name
        if wrong := name_problem(name):
            hint = "Put the file beside the spec, and name it without a directory"
            what = f'the file "{name}" cannot belong to a test: {wrong}'
            problems.append(Problem(what, "bad_file_name", path=name, hint=hint))
            continue
        try:
            if await asyncio.to_thread(_digest, path) == stored.get(name):
                unchanged.append(name)
                continue
            await control.files.upload(test.id, name, path)
            uploaded.append(name)
        except OSError as error:
            if name not in stored:
                what = f'the file "{name}" cannot be read: {error.strerror or error}'
                hint = f"The test is stored without it; put it beside the spec ({directory}) and push again"
                problems.append(Problem(what, "file_not_read", path=name, hint=hint))
            else:
                unchanged.append(name)
        except AtmError as error:
            problems += [
                Problem(problem.what, problem.code, path=name, hint=problem.hint) for problem in error.problems
            ]
    if problems:
        raise SpecError(problems)
    return tuple(uploaded), tuple(unchanged)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
