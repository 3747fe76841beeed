"""Where output goes and how it may look: stdout and stderr, colour, width, character set, and a reader who has gone.

The only place of the command line that looks at NO_COLOR, FORCE_COLOR, TERM, CI, COLUMNS and isatty.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TextIO

from atm.cli.text import Line, Paper, Style, joined
from atm.errors import OutputError, Problem

NARROWEST = 40
WIDEST = 120
USUAL = 80


class Color(StrEnum):
    """The values of `--color`."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def wants_color(choice: Color, stream: TextIO, environment: Mapping[str, str]) -> bool:
    """`--color` first, then NO_COLOR, then FORCE_COLOR, then whether a terminal that can do it is at the other end."""
    if choice != Color.AUTO:
        return choice == Color.ALWAYS
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in ("", "0", "false"):
        return True
    return _is_tty(stream) and environment.get("TERM") != "dumb"


def speaks_unicode(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream takes UTF-8, and nobody asked for plain ASCII with LC_ALL=C."""
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return encoding == "utf8" and environment.get("LC_ALL") not in ("C", "POSIX")


def width_of(stream: TextIO, environment: Mapping[str, str]) -> int:
    """Columns to write in: the terminal's, else COLUMNS, else 80; never above 120."""
    columns = 0
    if _is_tty(stream):
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except OSError:
            columns = 0
    if not columns and environment.get("COLUMNS", "").isdecimal():
        columns = int(environment["COLUMNS"])
    return min(max(columns or USUAL, NARROWEST), WIDEST)


@dataclass(slots=True)
class Surface:
    """One of the two streams, and what it can show."""

    stream: TextIO
    color: bool
    paper: Paper
    interactive: bool
    """A terminal that can redraw in place: a tty, not TERM=dumb, not CI."""
    gone: bool = False
    """The reader has closed the other end; what is written from now on is dropped."""

    def write(self, text: str) -> None:
        """Write and flush. A broken pipe is no error: whoever read has seen enough.

        Raises OutputError when standard output cannot be written for another reason, such as a full disk.
        """
        if self.gone:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            self._give_up()
        except OSError as error:
            self._give_up()
            if self.stream is sys.stdout:
                what = f"cannot write to standard output: {error.strerror or error}"
                raise OutputError(Problem(what, "unwritable")) from error

    def _give_up(self) -> None:
        self.gone = True
        # Python flushes at exit once more; it must find an open descriptor that takes everything.
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, self.stream.fileno())
        os.close(descriptor)

    def passing(self, text: str = "") -> None:
        """On a terminal, a line in place of the last one of this kind; without text that one is wiped."""
        if self.interactive:
            self.write(f"\r\x1b[2K{text}")

    def lines(self, lines: Iterable[Line]) -> None:
        self.write(joined(lines, self.color))


@dataclass(slots=True)
class Output:
    """Both streams of a command and the choices that hold for all it says."""

    out: Surface
    err: Surface
    json: bool = False
    """stdout is one JSON document, whatever happens."""
    quiet: bool = False
    github: bool = False
    """Under GitHub Actions: annotations and a step summary are wanted."""

    @classmethod
    def of(
        cls,
        color: Color = Color.AUTO,
        *,
        json: bool = False,
        quiet: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> Output:
        """The output of this process."""
        ci = environment.get("CI", "").lower() not in ("", "0", "false")

        def surface(stream: TextIO | None) -> Surface:
            if stream is None:  # closed by whoever started us
                return Surface(io.StringIO(), False, Paper(USUAL, True), False, gone=True)
            return Surface(
                stream,
                wants_color(color, stream, environment),
                Paper(width_of(stream, environment), speaks_unicode(stream, environment)),
                _is_tty(stream) and not ci and environment.get("TERM") != "dumb",
            )

        github = environment.get("GITHUB_ACTIONS") == "true"
        return cls(surface(sys.stdout), surface(sys.stderr), json, quiet, github)

    def document(self, document: Any) -> None:
        """Print one JSON document on stdout."""
        self.out.write(json.dumps(document, indent=2, ensure_ascii=not self.out.paper.unicode) + "\n")

    def note(self, problem: Problem) -> None:
        """On stderr: something worth knowing that is no error."""
        self.err.lines(problem_lines(problem, self.err.paper, "note", Style.WARN))

    def problems(self, problems: Iterable[Problem]) -> None:
        """Errors: on stderr for people, and with `--json` as the one document on stdout."""
        problems = tuple(problems)
        if self.json:
            self.document(error_document(problems))
        else:
            self.failures(problems)

    def failures(self, problems: Iterable[Problem]) -> None:
        """On stderr: what went wrong beside a result that stdout has already."""
        self.err.lines([line for problem in problems for line in problem_lines(problem, self.err.paper)])


def error_document(problems: Iterable[Problem]) -> dict[str, Any]:
    """What `--json` prints when a command could not do its work: the first problem, and all of them."""
    entries = [
        {"code": problem.code, "message": problem.what, "where": problem.where or None, "hint": problem.hint or None}
        for problem in problems
    ]
    return {"error": {**entries[0], "problems": entries}}


def problem_lines(problem: Problem, paper: Paper, word: str = "error", style: Style = Style.FAIL) -> list[Line]:
    """`error: what [code]`, then `at:`, then `hint:`."""
    lines = [paper.line(f"{word}: ", style).add(problem.what).add(f" [{problem.code}]", Style.DIM)]
    if problem.where:
        lines.append(paper.line("  at: ", Style.DIM).add(problem.where))
    if problem.hint:
        lines.append(paper.line("  hint: ", Style.DIM).hint(problem.hint))
    return lines
