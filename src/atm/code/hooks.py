"""What the functions of a file of `hooks` see: the request that is about to be sent, and the context of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from atm.code.scenario import declare_hook
from atm.models.nearest import nearest

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "setup": ("context",),
    "teardown": ("context",),
    "user_start": ("user",),
    "before_request": ("request", "user"),
    "after_response": ("response", "user"),
}
"""The hooks, and what each is called with."""

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def hook(name: str) -> Callable[[_Function], _Function]:
    """Declare that a function is a hook of the spec, whatever it is called; without it, its name decides.

    `name` is one of `setup`, `teardown`, `user_start`, `before_request` and `after_response`.

        @atm.hook("before_request")
        def sign(request: atm.Request, user: atm.User) -> None:
            request.headers["X-Signature"] = signature(request.body)
    """
    if name not in ARGUMENTS:
        close = nearest(str(name), ARGUMENTS)
        guess = f'; did you mean "{close[0]}"?' if close else ""
        raise ValueError(f'"{name}" is no hook{guess}; there are: {", ".join(ARGUMENTS)}')

    def decorate(function: _Function) -> _Function:
        declare_hook(name, function)
        return function

    return decorate


class Headers(MutableMapping[str, str]):
    """The headers of a request by name, in any case, in the order in which they are sent."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self._lines = list(lines)

    def __getitem__(self, name: str) -> str:
        values = [value for key, value in self._lines if key.lower() == name.lower()]
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __setitem__(self, name: str, value: str) -> None:
        """Replace every line of the name by one, at the place of the first."""
        place = next((at for at, (key, _) in enumerate(self._lines) if key.lower() == name.lower()), None)
        if place is None:
            self._lines.append((name, value))
            return
        self._lines[place] = (self._lines[place][0], value)
        later = self._lines[place + 1 :]
        self._lines[place + 1 :] = [line for line in later if line[0].lower() != name.lower()]

    def __delitem__(self, name: str) -> None:
        left = [line for line in self._lines if line[0].lower() != name.lower()]
        if len(left) == len(self._lines):
            raise KeyError(name)
        self._lines = left

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for key, _ in self._lines))

    def __len__(self) -> int:
        return len(dict.fromkeys(key.lower() for key, _ in self._lines))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(key.lower() == name.lower() for key, _ in self._lines)

    def lines(self) -> list[tuple[str, str]]:
        """Return each line, a name with several values once for each."""
        return list(self._lines)

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"


class Request:
    """A request of a step or an endpoint that is about to be sent; `before_request` may change it.

    The cookies of the user and Content-Length are written afterwards. If `url` leads to another host, the credentials
    of the spec are not sent.
    """

    __slots__ = ("_body", "headers", "method", "name", "url")

    def __init__(self, name: str, method: str, url: str, headers: Headers, body: bytes) -> None:
        self.name = name
        """The name of its endpoint in all figures: `checkout/pay`."""
        self.method = method
        self.url = url
        """The whole URL."""
        self.headers = headers
        self._body = body

    @property
    def body(self) -> bytes:
        """The body as it is sent: with `compress: gzip`, compressed. A text may be assigned, which is sent as UTF-8."""
        return self._body

    @body.setter
    def body(self, body: bytes | str) -> None:
        if not isinstance(body, bytes | str):
            raise TypeError(
                f"the body of a request is bytes or a text, not {type(body).__name__}: json.dumps(…) makes one"
            )
        self._body = body.encode() if isinstance(body, str) else body

    @property
    def path(self) -> str:
        """Path and query of the URL: `/orders?size=2`."""
        _, _, rest = self.url.partition("://")
        at = min((place for sign in "/?" if (place := rest.find(sign)) >= 0), default=len(rest))
        path = rest[at:].partition("#")[0]
        return path if path.startswith("/") else f"/{path}"

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url}>"


class Context:
    """The run, for `setup` and `teardown`, which get the same object."""

    __slots__ = ("base_url", "name", "secrets", "variables")

    def __init__(self, name: str, base_url: str, variables: dict[str, Any], secrets: dict[str, str]) -> None:
        self.name = name
        """The name of the test."""
        self.base_url = base_url
        """The spec's `base_url`, empty without one."""
        self.variables = variables
        """Texts, numbers and other JSON values. Those that `setup` sets are read by templates as `{{name}}`, and by
        every user as `user.variables["name"]`."""
        self.secrets = secrets
        """The same for texts that are credentials: they are shown as *** and stored nowhere."""
