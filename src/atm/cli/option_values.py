"""Convert option values without pydantic, which Typer would import.

The budget of `atm run URL` up to its first request is 18 × the CPU time of `python -c pass`; pydantic alone takes 15 ×.
It also gives us our own error messages.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from atm.parameter_groups import with_parameter_groups


class PlainValues:
    """Converts the values of one parameter; replaces Typer's pydantic adapter."""

    def __init__(self, annotation: Any) -> None:
        arguments = get_args(annotation)
        self._single = arguments[0] if arguments else annotation

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Convert `value` to the parameter's type. Raises typer.BadParameter with the expected type."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if isinstance(value, (list, tuple)):
            return [self._one(item, param, ctx) for item in value]
        return self._one(value, param, ctx)

    def _one(self, value: Any, param: Any, ctx: Any) -> Any:
        kind = self._single
        if isinstance(value, kind):
            return value
        if issubclass(kind, StrEnum):
            allowed = [str(member) for member in kind]
            if value not in allowed:
                raise typer.BadParameter(f"{value!r} is not one of {', '.join(allowed)}", ctx=ctx, param=param)
            return kind(value)
        if kind is bool:
            return str(value).strip().lower() not in ("", "0", "false", "no", "off")
        try:
            return kind(value)
        except ValueError:
            noun = "a whole number" if kind is int else "a number"
            raise typer.BadParameter(f"{value!r} is not {noun}", ctx=ctx, param=param) from None


def with_plain_values(params: list[Any]) -> list[Any]:
    """Make the parameters use `PlainValues`: flags, str, int, float, StrEnum, and lists of them."""
    for param in params:
        if not isinstance(param._runtime_param, PlainValues):
            param._runtime_param = PlainValues(param.type_descriptor.annotation)
    return params


class PlainCommand(TyperCommand):
    """Typer's command with `PlainValues`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return with_plain_values(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List arguments, then options in their groups: Typer's help panels, which it only draws with Rich."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                default = "Arguments" if param.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(param, "rich_help_panel", None) or default, []).append(record)
        if len(groups) > 2 and (others := groups.pop("Options", None)):
            groups["Other options"] = others
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


class PlainGroup(TyperGroup):
    """Typer's group with `PlainValues`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return with_plain_values(super().get_params(ctx))


class Commands(typer.Typer):
    """Typer's group of commands, with our parameters and help."""

    def __init__(self) -> None:
        super().__init__(cls=PlainGroup, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

    def command(self, name: str, **settings: Any) -> Callable[[Any], Any]:  # type: ignore[override]  # here a name is required
        """Return the decorator that adds a command under this name."""
        register = super().command(name, cls=PlainCommand, **settings)
        return lambda command: register(with_parameter_groups(command))
