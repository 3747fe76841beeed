"""The tool class: strict arguments, and errors that show a correct call."""

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
from atm.mcp_server.untrusted_text import without_credentials
from atm.models.nearest import nearest
from atm.parameter_groups import with_parameter_groups

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
"""Annotations of a read-only tool."""
READ_ONLY = Problem(
    "this MCP server is read-only: agents cannot change anything",
    "read_only",
    hint="its operator can remove ATM_MCP_READ_ONLY or --read-only",
)
_MOST_PROBLEMS = 8
_MOST_TEXT = 500


def answer(text: str, data: BaseModel) -> CallToolResult:
    """Build a tool's result: a short text, and the full data."""
    content: list[ContentBlock] = [TextContent(text=text)]
    return CallToolResult(content=content, structured_content=data.model_dump(mode="json"))


class StrictTool(Tool):
    """A tool that rejects unknown arguments and reports every failure as `Problem`s."""

    _example: str = PrivateAttr("")
    _refusal: Problem | None = PrivateAttr(None)

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Run the tool as the SDK does, after rejecting unknown arguments. Raises ToolError."""
        if self._refusal is not None:
            raise ToolError(self._error_text([self._refusal]))
        unknown = [name for name in arguments if name not in self.parameters["properties"]]
        if unknown:
            raise ToolError(self._error_text([self._unknown(name) for name in unknown]))
        try:
            return await super().run(arguments, context, convert_result)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, QuestionError):
                return cause.result
            if isinstance(cause, AtmError):
                raise ToolError(self._error_text(cause.problems)) from cause
            if isinstance(cause, ValidationError) and not isinstance(error, UnexpectedToolError):
                raise ToolError(self._error_text([_problem(detail) for detail in cause.errors()])) from cause
            if isinstance(error, UnexpectedToolError):
                hint = "see its log on standard error; another call may work"
                raise UnexpectedToolError(
                    self._error_text([Problem("this is a bug in atm", "internal", hint=hint)])
                ) from cause
            raise

    @property
    def only_reads(self) -> bool:
        """Whether the tool is read-only."""
        return self.annotations is not None and self.annotations.read_only_hint is True

    def refuse(self, why: Problem) -> None:
        """Reject all further calls with this problem."""
        self._refusal = why

    def _unknown(self, name: str) -> Problem:
        names = list(self.parameters["properties"])
        # Here the value has the unit (`duration="30s"`), in other tools the name.
        synonym = _SYNONYMS.get(name, name.removesuffix("_seconds"))
        near = [synonym] if synonym in names else nearest(name, names)
        hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(names)}" if names else "it takes none"
        return Problem(f"{self.name} has no argument {name[:64]!r}", "unknown_argument", path=name[:64], hint=hint)

    def _error_text(self, problems: Sequence[Problem]) -> str:
        lines = [line for problem in problems[:_MOST_PROBLEMS] for line in _lines(problem)]
        if len(problems) > _MOST_PROBLEMS:
            lines.append(f"and {len(problems) - _MOST_PROBLEMS} more problems")
        if self._example and any(problem.code in _ARGUMENTS or problem.path for problem in problems):
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
"""Argument names of other load testing tools."""
_ARGUMENTS = frozenset({"unknown_argument", "bad_argument", "missing_argument"})


def tool(
    function: Callable[..., Any],
    *,
    title: str,
    annotations: ToolAnnotations,
    example: str = "",
) -> StrictTool:
    """Build a tool from a function or method; its docstring is the description for agents.

    `example` holds the arguments of a correct call.
    """
    base = Tool.from_function(
        with_parameter_groups(function), title=title, annotations=annotations, structured_output=True
    )
    strict = StrictTool.model_construct(**{name: getattr(base, name) for name in Tool.model_fields})
    strict.description = " ".join(base.description.split())
    strict.parameters = {**_without_titles(base.parameters), "additionalProperties": False}
    if base.output_schema is not None:
        strict.fn_metadata.output_schema = _without_titles(base.output_schema)
    strict._example = example
    return strict


def _without_titles(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the titles that pydantic derives from names: they cost tokens and add nothing."""
    result: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "title" and isinstance(value, str):
            continue
        if name in ("properties", "$defs"):
            result[name] = {key: _without_titles(item) for key, item in value.items()}
        elif isinstance(value, Mapping):
            result[name] = _without_titles(value)
        elif isinstance(value, list):
            result[name] = [_without_titles(item) if isinstance(item, Mapping) else item for item in value]
        else:
            result[name] = value
    return result


def _lines(problem: Problem) -> list[str]:
    # Problems quote arguments and user-given names, which may contain credentials.
    return [without_credentials(line, _MOST_TEXT) for line in problem.lines()]


def _problem(detail: Mapping[str, Any]) -> Problem:
    where = ".".join(str(part) for part in detail["loc"] if part != "function-after")
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if detail["type"] == "missing":
        return Problem(f"the argument {where} is missing", "missing_argument", path=where)
    what = f"{where} {message}" if message.startswith("should") else f"{where}: {message[:1].lower()}{message[1:]}"
    given = detail.get("input")
    # Do not echo larger values: they may contain credentials.
    shown = f", not {given!r}" if isinstance(given, int | float | bool) or _is_word(given) else ""
    return Problem(f"{what}{shown}", "bad_argument", path=where)


def _is_word(given: object) -> bool:
    return isinstance(given, str) and len(given) <= 24 and given.isprintable()
