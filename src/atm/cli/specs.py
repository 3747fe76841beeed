"""Compile a test from a command's argument: a spec file, a URL, or `-` for stdin."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from atm.errors import Problem, SpecError
from atm.plan.code_hooks import HookFile
from atm.plan.code_scenarios import CodeFunction
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.document import SpecDocument
from atm.plan.overrides import Overrides, with_overrides
from atm.tables.spec_files import SpecFiles
from atm.tables.table_request import OpenedTable, TableRequest

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SPEC_SUFFIXES = (".yaml", ".yml", ".json", ".py")
_HOST = re.compile(r"(?:localhost|\[[0-9a-f:]+\]|[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::\d+)?(?:/.*)?", re.IGNORECASE)


def is_url(source: str) -> bool:
    """Whether `source` is a URL and not a file name."""
    return bool(_URL.match(source))


def is_folder(source: str) -> bool:
    """Whether `source` is a folder of specs."""
    return source != "-" and not is_url(source) and Path(source).is_dir()


def read_source(source: str) -> SpecDocument:
    """Read the spec from a file, or from stdin for `-`. Raises SpecError if it cannot be read."""
    if source.endswith(".py"):
        return _code_document(source, Overrides())
    from atm.plan.spec_reader import read_spec_text

    if source == "-":
        return read_spec_text(sys.stdin.buffer.read(), "stdin")
    try:
        return read_spec_text(Path(source).read_bytes(), source)
    except FileNotFoundError:
        raise SpecError(_not_found(source)) from None
    except OSError as error:
        what = f"cannot read {source}: {error.strerror or error}"
        raise SpecError(Problem(what, "unreadable_spec", path="SPEC")) from None


def _code_document(source: str, overrides: Overrides) -> SpecDocument:
    # Imported here because few specs are code.
    from atm.code.document import read_code_spec

    if not Path(source).exists():
        raise SpecError(_not_found(source))
    return read_code_spec(source, overrides)


def _not_found(source: str) -> Problem:
    hint = "`atm init` writes a starter spec"
    path = Path(source)
    is_file_name = path.suffix in _SPEC_SUFFIXES
    if _HOST.fullmatch(source) and not is_file_name:
        hint = f"A URL needs a scheme: `http://{source}`"
    elif near := _specs_like(path):
        hint = f"Did you mean {near[0]}? {hint}" if len(near) == 1 else f"Found: {', '.join(near)}; {hint}"
    return Problem(f"there is no file {source}", "spec_not_found", path="SPEC", hint=hint)


def _specs_like(missing: Path) -> list[str]:
    """Return spec files in the directory of a missing one: the closest name, else the first three."""
    from difflib import get_close_matches

    try:
        names = sorted(path.name for path in missing.parent.iterdir() if path.suffix in _SPEC_SUFFIXES)
    except OSError:
        return []
    similar = get_close_matches(missing.name, names, n=1) or names[:3]
    return [str(missing.with_name(name)) for name in similar]


def document_of(source: str, overrides: Overrides) -> SpecDocument:
    """Read the spec of `source` and apply the overrides. Raises SpecError if it cannot be read."""
    if is_url(source):
        return with_overrides(SpecDocument({}), _with_url(overrides, source))
    if source.endswith(".py"):
        return _code_document(source, overrides)
    return with_overrides(read_source(source), overrides)


def compile_source(source: str, overrides: Overrides) -> CompiledTest:
    """Compile the test of `source` with the overrides. Raises SpecError with every problem."""
    return compile_document(document_of(source, overrides))


def compile_document(document: SpecDocument) -> CompiledTest:
    """Compile a spec for a run in this process. Raises SpecError with every problem."""
    return compile_plan(
        document,
        os.environ,
        default_seed=int.from_bytes(os.urandom(4), "big"),
        read_file=SpecFiles(_directory_of(document)).read,
        read_tls_file=lambda name: Path(name).read_bytes(),
        open_table=lambda request: _open_table(document, request),
        open_code=lambda text: _open_code(document, text),
        open_hooks=lambda text: _open_hooks(document, text),
    )


def _directory_of(document: SpecDocument) -> Path:
    """Return the directory of a spec; for standard input the working directory."""
    return Path(document.name).parent


def _open_table(document: SpecDocument, request: TableRequest) -> OpenedTable:
    # Imported here because few specs have test data.
    from atm.tables.spec_tables import SpecTables

    return SpecTables(_directory_of(document))(request)


def _open_hooks(document: SpecDocument, text: str) -> HookFile:
    # Imported here because few specs have hooks.
    from atm.code.hook_file import open_hooks

    return open_hooks(text, _directory_of(document))


def _open_code(document: SpecDocument, text: str) -> CodeFunction:
    # Imported here because few specs have code.
    from atm.code.module import open_function

    return open_function(text, _directory_of(document))


def _with_url(overrides: Overrides, url: str) -> Overrides:
    from dataclasses import replace

    return replace(overrides, url=url)


def body_text(data: str | None, flag: str = "--data") -> str | None:
    """Return the body of a flag: `@FILE` is the file's text, `@-` is stdin. Raises SpecError."""
    if data is None or not data.startswith("@"):
        return data
    return _file_text(data[1:], flag, "unreadable_body", f"`{flag} TEXT`, or `{flag} @FILE`")


def secret_text(value: str | None, flag: str, source: str) -> str | None:
    """Return the secret of a flag: `@FILE` is the file's text, `-` is stdin, both without the line end.

    `source` is the command's argument, which may be stdin too. Raises SpecError.
    """
    if value == "-" and source == "-":
        what = f"{flag} and the spec cannot both be read from stdin"
        raise SpecError(Problem(what, "conflict", path=flag, hint=f"`{flag} @FILE`"))
    if value is None or (value != "-" and not value.startswith("@")):
        return value
    text = _file_text(value.removeprefix("@"), flag, "unreadable_secret", f"`{flag} @FILE`, or `{flag} -` for stdin")
    secret = text.rstrip("\r\n")
    if not secret:
        raise SpecError(Problem("the secret is empty", "empty_secret", path=flag, hint=f"`{flag} @FILE`"))
    return secret


def _file_text(name: str, flag: str, code: str, hint: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode("utf-8")
    except OSError as error:
        what = f"cannot read {name}: {error.strerror or error}"
        raise SpecError(Problem(what, code, path=flag, hint=hint)) from None
    except UnicodeDecodeError:
        raise SpecError(Problem(f"{name} is not UTF-8 text", "not_utf8", path=flag)) from None
