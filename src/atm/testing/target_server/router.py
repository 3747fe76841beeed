"""Resolve a request's target to its route, parameters and counter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

from atm.dataclass import dataclass
from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.recorder import Recorder, RouteCounter

UNKNOWN = "(unknown)"
_CACHE_LIMIT = 4096

Handler = Callable[[Exchange], None]
N = TypeVar("N", int, float)


class BadParameterError(ValueError):
    """A route's parameter is invalid; the message is sent with a 400."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the table in the package's docstring. `pattern` may contain `{name}` segments."""

    pattern: str
    summary: str
    handler: Handler
    wants_body: bool = False
    """Collect the request's body (up to 64 MiB) instead of only counting it."""
    wants_raw: bool = False
    """Store the raw bytes of the request (up to 1 MiB)."""
    before_body: bool = False
    """Call the handler when the head is complete, without waiting for the body."""
    named_by_pattern: bool = False
    """Recorded under its pattern, because it has too many different paths."""

    @property
    def counted(self) -> bool:
        """Whether it is a measurement route (`/__…__`): not recorded, and not stalled."""
        return not self.pattern.startswith("/__")


@dataclass(frozen=True, slots=True)
class Call:
    """A resolved target, shared by all requests with it."""

    route: Route
    counter: RouteCounter
    counted: bool
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Path variables and query fields."""

    def text(self, name: str, default: str | None = None) -> str:
        """Return a parameter as text, percent-decoded."""
        value = self.parameters.get(name, default)
        if value is None:
            raise BadParameterError(f"{self.route.pattern} needs {name}=")
        return value

    def integer(self, name: str, default: int | None = None, least: int = 0, most: int = 1 << 62) -> int:
        """Return a parameter as an integer within bounds."""
        return self._within(name, default, least, most, int, "whole number")

    def number(self, name: str, default: float | None = None, least: float = 0.0, most: float = 1e9) -> float:
        """Return a parameter as a decimal number within bounds."""
        return self._within(name, default, least, most, float, "number")

    def flag(self, name: str) -> bool:
        """Return whether the parameter is 1, true or yes."""
        return self.parameters.get(name, "").lower() in ("1", "true", "yes")

    def _within(self, name: str, default: N | None, least: N, most: N, convert: Callable[[str], N], kind: str) -> N:
        if default is not None and name not in self.parameters:
            return default
        text = self.text(name)
        try:
            value = convert(text)
        except ValueError as cause:
            raise BadParameterError(f"{name}={text} is no {kind}") from cause
        if not least <= value <= most:
            raise BadParameterError(f"{name}={value} is not between {least} and {most}")
        return value


class Routing:
    """Finds routes, and caches the targets that it has seen, up to a limit."""

    def __init__(self, routes: Sequence[Route], recorder: Recorder) -> None:
        self._plain = {route.pattern: route for route in routes if "{" not in route.pattern}
        self._variable = [(tuple(route.pattern.split("/")), route) for route in routes if "{" in route.pattern]
        self._unknown = Route(UNKNOWN, "", _not_found)
        self._recorder = recorder
        self._calls: dict[bytes, Call] = {}

    def restart(self, recorder: Recorder) -> None:
        """Start counting from one again, into another record."""
        self._recorder = recorder
        self._calls.clear()

    def resolve(self, target: bytes) -> Call:
        """Return the call for a target in origin or absolute form; the unknown route (404) if none matches."""
        call = self._calls.get(target)
        if call is not None:
            return call
        call = self._resolve(target.decode("latin-1"))
        if len(self._calls) < _CACHE_LIMIT:
            self._calls[target] = call
        return call

    def _resolve(self, target: str) -> Call:
        if not target.startswith("/") and "://" in target:
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        path, _, query = target.partition("?")
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        route = self._plain.get(path)
        if route is None:
            route, variables = self._match(path)
            parameters.update(variables)
        name = parameters.get("as") or (route.pattern if route.named_by_pattern or route is self._unknown else path)
        return Call(route, self._recorder.counter(name) if route.counted else _UNCOUNTED, route.counted, parameters)

    def _match(self, path: str) -> tuple[Route, dict[str, str]]:
        segments = path.split("/")
        for pattern, route in self._variable:
            if len(pattern) != len(segments):
                continue
            variables: dict[str, str] = {}
            for expected, segment in zip(pattern, segments, strict=True):
                if expected.startswith("{"):
                    variables[expected[1:-1]] = unquote(segment)
                elif expected != segment:
                    break
            else:
                return route, variables
        return self._unknown, {}


_UNCOUNTED = RouteCounter(0, "")


def _not_found(exchange: Exchange) -> None:
    exchange.respond(404, b"no such route here; `atm target` has its table in docs/reference/target-server.md\n")
