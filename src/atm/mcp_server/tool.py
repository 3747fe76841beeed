"""A tool as agents see it: strict about its arguments, and with errors that say what would have been right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, ContentBlock, TextContent, ToolAnnotations
from pydantic import BaseModel, PrivateAttr, ValidationError

from atm.errors import AtmError, Problem
from atm.mcp_server.confirmation import QuestionError
from atm.mcp_server.untrusted import without_credentials
from atm.models.nearest import nearest

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
"""Looks, and changes nothing."""
READ_ONLY = Problem(
    "this MCP server is read-only: agents may look here, and change nothing",
    "read_only",
    hint="whoever set it up may take ATM_MCP_READ_ONLY or --read-only away",
)
_MOST_PROBLEMS = 8
_MOST_TEXT = 500


def answer(text: str, data: BaseModel) -> CallToolResult:
    """What a tool gives back: a short text, and the same and more as data."""
    content: list[ContentBlock] = [TextContent(text=text)]
    return CallToolResult(content=content, structured_content=data.model_dump(mode="json"))


class OurTool(Tool):
    """A tool whose failures are `Problem`s, whatever they were."""

    _example: str = PrivateAttr("")
    _refusal: Problem | None = PrivateAttr(None)

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """As the SDK's, but for arguments that do not exist, and for errors. Raises ToolError."""
        if self._refusal is not None:
            raise ToolError(self._said([self._refusal]))
        strange = [name for name in arguments if name not in self.parameters["properties"]]
        if strange:
            raise ToolError(self._said([self._unknown(name) for name in strange]))
        try:
            return await super().run(arguments, context, convert_result)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, QuestionError):
                return cause.result
            if isinstance(cause, AtmError):
                raise ToolError(self._said(cause.problems)) from cause
            if isinstance(cause, ValidationError) and not isinstance(error, UnexpectedToolError):
                raise ToolError(self._said([_problem(each) for each in cause.errors()])) from cause
            if isinstance(error, UnexpectedToolError):
                hint = "its log on standard error says more; another call may work"
                raise UnexpectedToolError(
                    self._said([Problem("this is a fault of atm itself", "internal", hint=hint)])
                ) from cause
            raise

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing."""
        return self.annotations is not None and self.annotations.read_only_hint is True

    def refuse(self, why: Problem) -> None:
        """Do nothing from now on but say why."""
        self._refusal = why

    def _unknown(self, name: str) -> Problem:
        known = list(self.parameters["properties"])
        # Units are in the values here (`duration="30s"`), and in the names elsewhere.
        meant = _SYNONYMS.get(name, name.removesuffix("_seconds"))
        near = [meant] if meant in known else nearest(name, known)
        hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(known)}" if known else "it takes none"
        return Problem(f"{self.name} has no argument {name[:64]!r}", "unknown_argument", path=name[:64], hint=hint)

    def _said(self, problems: Sequence[Problem]) -> str:
        lines = [line for each in problems[:_MOST_PROBLEMS] for line in _lines(each)]
        if len(problems) > _MOST_PROBLEMS:
            lines.append(f"and {len(problems) - _MOST_PROBLEMS} more problems")
        if self._example and any(each.code in _ARGUMENTS or each.path for each in problems):
            lines.append(f"an example that works: {self.name}({self._example})")
        return "\n".join(lines)


_SYNONYMS = {
    "vus": "users",
    "rate": "requests_per_second",
    "rps": "requests_per_second",
    "requests": "total_requests",
    "count": "total_requests",
    "seconds": "duration",
    "id": "run_id",
    "run": "run_id",
    "data": "body",
    "assertions": "thresholds",
}
"""What other tools call it."""
_ARGUMENTS = frozenset({"unknown_argument", "bad_argument", "missing_argument"})


def tool(
    function: Callable[..., Any],
    *,
    title: str,
    annotations: ToolAnnotations,
    example: str = "",
) -> OurTool:
    """Make a tool of a function or a method; its docstring is what agents read.

    `example` are arguments of a call that works.
    """
    made = Tool.from_function(function, title=title, annotations=annotations, structured_output=True)
    ours = OurTool.model_construct(**{name: getattr(made, name) for name in Tool.model_fields})
    ours.description = " ".join(made.description.split())
    ours.parameters = {**_without_titles(made.parameters), "additionalProperties": False}
    if made.output_schema is not None:
        ours.fn_metadata.output_schema = _without_titles(made.output_schema)
    ours._example = example
    return ours


def _without_titles(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without the titles that pydantic makes of names: they say nothing, and agents pay for each word."""
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "title" and isinstance(value, str):
            continue
        if name in ("properties", "$defs"):
            kept[name] = {key: _without_titles(item) for key, item in value.items()}
        elif isinstance(value, Mapping):
            kept[name] = _without_titles(value)
        elif isinstance(value, list):
            kept[name] = [_without_titles(item) if isinstance(item, Mapping) else item for item in value]
        else:
            kept[name] = value
    return kept


def _lines(problem: Problem) -> list[str]:
    # Problems quote what was sent, and what others have named.
    return [without_credentials(line, _MOST_TEXT) for line in problem.lines()]


def _problem(each: Mapping[str, Any]) -> Problem:
    where = ".".join(str(part) for part in each["loc"] if part != "function-after")
    message = str(each["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if each["type"] == "missing":
        return Problem(f"the argument {where} is missing", "missing_argument", path=where)
    what = f"{where} {message}" if message.startswith("should") else f"{where}: {message[:1].lower()}{message[1:]}"
    given = each.get("input")
    # Larger things may hold credentials, and whoever sent them knows them.
    shown = f", not {given!r}" if isinstance(given, int | float | bool) or _is_word(given) else ""
    return Problem(f"{what}{shown}", "bad_argument", path=where)


def _is_word(given: object) -> bool:
    return isinstance(given, str) and len(given) <= 24 and given.isprintable()
