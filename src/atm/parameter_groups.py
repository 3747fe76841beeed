"""Groups of parameters: a function names a group once, and frameworks that read signatures see its parameters.

Typer derives options from signatures, the MCP SDK the arguments of tools.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from atm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Annotation of a parameter that replaces several: those of `make`, whose result the function gets."""

    make: Callable[..., Any]


def with_parameter_groups(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with the parameters of its groups in place of the groups; all are keyword-only."""
    signature = inspect.signature(function, eval_str=True)
    groups: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        members = [parameter]
        for group in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(group, ParameterGroup):
                members = list(inspect.signature(group.make, eval_str=True).parameters.values())
                groups[parameter.name] = group.make, [member.name for member in members]
        parameters += [member.replace(kind=inspect.Parameter.KEYWORD_ONLY) for member in members]

    def grouped(values: dict[str, Any]) -> dict[str, Any]:
        for name, (make, members) in groups.items():
            values[name] = make(**{member: values.pop(member) for member in members})
        return values

    @functools.wraps(function)
    def expanded(**values: Any) -> Any:
        return function(**grouped(values))

    @functools.wraps(function)
    async def expanded_coroutine(**values: Any) -> Any:
        return await function(**grouped(values))

    result: Any = expanded_coroutine if inspect.iscoroutinefunction(function) else expanded
    result.__signature__ = signature.replace(parameters=parameters)
    result.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return result  # type: ignore[no-any-return]  # it needs Any for the two attributes
