"""Groups of options: a command has one parameter for a group, and Typer reads the options of the group."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """Annotation of a parameter that Typer reads as several options.

    The parameters of `make` are the options; the command gets what `make` returns for them.
    """

    make: Callable[..., Any]


def with_option_groups(command: Callable[..., int]) -> Callable[..., int]:
    """Return the command with the options of its groups in place of the groups, as Typer reads signatures."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        options = [parameter]
        for group in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(group, OptionGroup):
                options = list(inspect.signature(group.make, eval_str=True).parameters.values())
                groups[parameter.name] = group.make, [option.name for option in options]
        parameters += [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options]

    @functools.wraps(command)
    def expanded(**values: Any) -> int:
        made = {
            name: make(**{option: values.pop(option) for option in options}) for name, (make, options) in groups.items()
        }
        return command(**values, **made)

    expanded.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded
