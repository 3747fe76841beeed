"""Fields over the functions of the routes: arguments, their limits and descriptions come from the function itself."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import strawberry
from fastapi.params import Body, Depends, Param
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.responses import Response
from strawberry.utils.str_converters import to_camel_case

from atm.api.errors import ApiError, problem_of
from atm.api.graphql.context import Context
from atm.api.graphql.types import argument_of, input_type, output_of
from atm.runs.lookup import whole_run_id

Route = Callable[..., Awaitable[Any]]
"""The function of a route."""
COST = "cost"
"""Key of the metadata of a field: its cost in the sum of an operation."""
PAGE = "page"
"""Key of the metadata of a list: the argument with the number of its entries, and its default."""
RunId = Annotated[str, Param(pattern="^[A-Za-z0-9_-]{1,64}$", description="The run's id, or a unique prefix of it.")]


def resolved(
    function: Callable[..., Awaitable[Any] | AsyncIterator[Any]],
    *,
    arguments: Mapping[str, inspect.Parameter] | None = None,
    answer: Any = None,
    about: str = "",
    cost: int = 1,
    page: str = "",
    is_subscription: bool = False,
) -> Any:
    """Return a field for a function of (root, info, arguments); by default its own hints are those of the field."""
    hints = get_type_hints(function, include_extras=True)
    resolver = function
    if arguments is None:
        resolver = function if is_subscription else _checked(function)
        written = inspect.signature(function).parameters.values()
        arguments = {
            parameter.name: _argument(parameter.name, parameter.replace(annotation=hints[parameter.name]))
            for parameter in written
            if parameter.name not in ("root", "info")
        }
    _sign(resolver, arguments)
    returned = answer or hints["return"]
    if is_subscription:
        returned = get_args(returned)[0]
    about = about or inspect.getdoc(function) or ""
    return strawberry.field(
        resolver=resolver,
        graphql_type=output_of(returned),
        description=about.partition("\n\n")[0].replace("\n", " ") or None,
        metadata={COST: cost, PAGE: (page, arguments[page].default) if page else None},
        is_subscription=is_subscription,
    )


def _checked(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a resolver that checks the arguments as its hints say."""

    async def resolve(root: Any, info: strawberry.Info, **given: Any) -> Any:
        written = {name: value for name, value in given.items() if value not in (None, strawberry.UNSET)}
        return await function(root, info, **validated(function, written))

    return resolve


def of_route(route: Route, *, of_run: bool = False, cost: int = 1) -> Any:
    """Return a field that calls the function of a route.

    `run_id` is the root's id with `of_run`, else the argument `id`.
    """
    arguments = arguments_of(route)
    if of_run:
        del arguments["id"]

    async def resolve(root: Any, info: strawberry.Info, **given: Any) -> Any:
        run_id = root.id if of_run else None
        return await answer_of(route, info.context, given, run_id=run_id)

    returned = get_type_hints(route, include_extras=True)["return"]
    return resolved(resolve, arguments=arguments, answer=returned, about=inspect.getdoc(route) or "", cost=cost)


def arguments_of(route: Route) -> dict[str, inspect.Parameter]:
    """Return the arguments of a field for a route."""
    return {_written(name): _argument(_written(name), given) for name, given in parameters_of(route).items()}


async def answer_of(route: Route, context: Context, given: Mapping[str, Any], *, run_id: str | None = None) -> Any:
    """Call the function of a route with checked arguments. Raises ApiError with all invalid ones."""
    written = {name: given.get(_written(name)) for name in parameters_of(route)}
    named = {name: value for name, value in written.items() if value not in (None, strawberry.UNSET)}
    checked = validated(route, named)
    injected: dict[str, Any] = {"plane": context.plane, "source": context.source, "response": Response()}
    wanted = inspect.signature(route).parameters
    arguments = {name: value for name, value in injected.items() if name in wanted} | checked
    if run_id is not None:
        arguments["run_id"] = run_id
    elif "run_id" in arguments:
        arguments["run_id"] = await whole_run_id(context.plane.storage, arguments["run_id"])
    return await route(**arguments)


def validated(route: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as the route declares them; a body is read from an input. Raises ApiError 422."""
    problems = []
    checked: dict[str, Any] = {}
    for name, value in given.items():
        try:
            checked[name] = _adapter(route, name).validate_python(plain(value))
        except ValidationError as error:
            details = error.errors(include_url=False)
            problems += [problem_of({**detail, "loc": _place(name, detail["loc"])}) for detail in details]
    if problems:
        raise ApiError(422, problems)
    return checked


@cache
def parameters_of(route: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a route that a caller gives, with evaluated annotations."""
    hints = get_type_hints(route, include_extras=True)
    return {
        name: parameter.replace(annotation=RunId if name == "run_id" else hints[name])
        for name, parameter in inspect.signature(route).parameters.items()
        if name not in ("plane", "source", "response") and (name == "run_id" or not _is_injected(hints[name]))
    }


def _is_injected(annotation: Any) -> bool:
    return any(isinstance(mark, Depends) for mark in getattr(annotation, "__metadata__", ()))


@cache
def _adapter(route: Callable[..., Any], name: str) -> TypeAdapter[Any]:
    return TypeAdapter(parameters_of(route)[name].annotation)


def plain(value: Any) -> Any:
    """Return an input as the JSON object that the REST API takes."""
    if isinstance(value, Enum) or not hasattr(value, "__strawberry_definition__"):
        return [plain(item) for item in value] if isinstance(value, list) else value
    fields = {field.python_name: getattr(value, field.python_name) for field in value.__strawberry_definition__.fields}
    return {name: plain(item) for name, item in fields.items() if item is not strawberry.UNSET}


def _place(name: str, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    parts = (_written(name), *location)
    return tuple(to_camel_case(part) if isinstance(part, str) else part for part in parts)


def _written(name: str) -> str:
    """Return the name of a route's parameter as an argument: every object is addressed by `id`."""
    return {"run_id": "id", "test": "id", "schedule": "id", "body": "input"}.get(name, name)


def _argument(name: str, parameter: inspect.Parameter) -> inspect.Parameter:
    annotation = parameter.annotation
    body = _body(annotation)
    kind = input_type(body) if body else argument_of(annotation)
    if name == "id":
        kind = strawberry.ID
    default = parameter.default
    if default is None:
        default = strawberry.UNSET
        kind = kind if type(None) in get_args(kind) else kind | None
    about = next((mark.description for mark in _marks(annotation) if mark.description), None)
    if about:
        kind = Annotated[kind, strawberry.argument(description=about)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _marks(annotation: Any) -> list[Any]:
    return [mark for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Param | Body)]


def _body(annotation: Any) -> type[BaseModel] | None:
    is_union = get_args(annotation) and get_origin(annotation) is not Annotated
    members = get_args(annotation) if is_union else (annotation,)
    return next((kind for kind in members if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _sign(function: Any, arguments: Mapping[str, inspect.Parameter]) -> None:
    """Give a function the signature that the library reads."""
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature(
        [
            inspect.Parameter("root", positional, annotation=Any),
            inspect.Parameter("info", positional, annotation=strawberry.Info),
            *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in arguments.values()),
        ]
    )
