"""The user of a scenario in code: sends requests, thinks, and holds variables."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

if TYPE_CHECKING:
    from asyncio import Future

    from atm.code.cookies import Jar
    from atm.code.response import Response

Expected = int | str | Iterable[int | str]
"""Status codes: `200`, `"2xx"`, `"200-204"`, or several of them."""
Body = bytes | str | Mapping[str, Any]


class IterationFailedError(Exception):
    """The code has ended its iteration as failed, with `User.fail`."""


class Driver(Protocol):
    """What the engine does for the code of a user."""

    calls: int
    """Number of requests made in this iteration; one that is not awaited is never sent."""

    def send(self, call: Call) -> Future[Response] | None:
        """Send a request. Return the future of its response; None if the engine resumes the code with it."""
        ...

    def count(self, response: Response) -> None:
        """Count the outcome of a response that was held back."""
        ...

    def pause(self, seconds: float) -> Future[None]: ...

    def random(self) -> Random: ...

    def row(self, data: str) -> dict[str, Any]: ...

    def cookies(self) -> Jar | None:
        """Return the cookies of the user; None if its scenario uses none."""
        ...

    def stop_run(self) -> None: ...

    @property
    def base_url(self) -> str: ...


class Call:
    """A request that begins when it is awaited: `response = await user.get("/")`.

    As `async with user.get("/") as response:`, its outcome is counted at the end of the block.
    """

    __slots__ = (
        "_driver",
        "_response",
        "body",
        "expect",
        "follows_redirects",
        "has_json",
        "headers",
        "holds",
        "json",
        "method",
        "name",
        "params",
        "timeout",
        "url",
    )

    def __init__(
        self,
        driver: Driver,
        method: str,
        url: str,
        name: str | None,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        json: Any,
        data: Body | None,
        timeout: float | None,
        expect: Expected | None,
    ) -> None:
        self._driver = driver
        self.method = method
        self.url = url
        self.name = name
        self.params = params
        self.headers = headers
        self.json = json
        self.body = data
        self.timeout = timeout
        self.expect = expect
        self.follows_redirects = True
        """Whether redirects are followed, if the scenario follows them at all."""
        self.holds = False
        driver.calls += 1

    def __await__(self) -> Generator[Any, None, Response]:
        future = self._driver.send(self)
        if future is None:
            return cast("Response", (yield None))
        return (yield from future)

    async def __aenter__(self) -> Response:
        self.holds = True
        self._response = await self
        return self._response

    def count(self, response: Response) -> None:
        """Count the outcome of the response, which was held back (`holds`)."""
        self._driver.count(response)

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and not self._response.is_counted:
            self._response.fail(f"{type(error).__name__}: {error}")
        self.count(self._response)


class _Nothing:
    """No JSON body; None is one (`null`)."""


NOTHING: Any = _Nothing()


class User:
    """A virtual user in a scenario.

    In a closed load a user lasts: its variables, cookies and connections stay from iteration to iteration. In an open
    load each iteration is a new user, unless the scenario has `session: keep`.
    """

    __slots__ = ("_driver", "_group", "_random", "iteration", "number", "pause_after", "stops", "variables")

    def __init__(self, driver: Driver, number: int) -> None:
        self._driver = driver
        self._group = ""
        self._random: Random | None = None
        self.number = number
        """The number of the user, from 1; in an open load that of its iteration."""
        self.iteration = 0
        """The number of the iteration in its scenario, from 1, over all users."""
        self.variables: dict[str, Any] = {}
        """Values to keep from one iteration to the next."""
        self.pause_after = 0.0
        """Closed load: seconds from the end of this iteration to the next one of the user, part of neither."""
        self.stops = False
        """This iteration is the last one of the user."""

    def begin(self, iteration: int) -> None:
        """Begin an iteration; called by the engine."""
        self.iteration = iteration
        self.pause_after = 0.0
        self._group = ""
        self._random = None

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = NOTHING,
        data: Body | None = None,
        timeout: float | None = None,
        expect: Expected | None = None,
    ) -> Call:
        """Return a request, which is sent when it is awaited.

        `url` begins with / and continues the `base_url`, or is a whole URL. `name` is that of the endpoint in all
        figures; by default method and path, without the query: name requests whose paths differ. `data` is the body:
        bytes, a text, or the fields of a form. `expect` is the expected status, by default that of the scenario. A
        request that fails is counted and returned as a response with an `error`; nothing is raised.
        """
        if self._group:
            name = self._group + (name or f"{method} {url.partition('?')[0]}")
        return Call(self._driver, method, url, name, params, headers, json, data, timeout, expect)

    def get(
        self,
        url: str,
        *,
        name: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        expect: Expected | None = None,
    ) -> Call:
        """Return a GET request; see `request`."""
        if self._group:
            name = self._group + (name or f"GET {url.partition('?')[0]}")
        return Call(self._driver, "GET", url, name, params, headers, NOTHING, None, timeout, expect)

    def head(self, url: str, **options: Any) -> Call:
        """Return a HEAD request; see `request`."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Any) -> Call:
        """Return an OPTIONS request; see `request`."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, **options: Any) -> Call:
        """Return a POST request; see `request`."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> Call:
        """Return a PUT request; see `request`."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> Call:
        """Return a PATCH request; see `request`."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> Call:
        """Return a DELETE request; see `request`."""
        return self.request("DELETE", url, **options)

    def think(self, least: float, most: float | None = None) -> Future[None]:
        """Wait as a person does, when awaited: for a time in seconds, or for one drawn between two.

        It is think time: not part of `active_time`. `asyncio.sleep` waits too, but counts as the code's own time.
        """
        return self._driver.pause(least if most is None else self.random.uniform(least, most))

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        """Put a name before those of the requests inside of a block: `with user.group("basket"): …`."""
        outer = self._group
        self._group = f"{outer}{name}/"
        try:
            yield
        finally:
            self._group = outer

    def fail(self, message: str) -> NoReturn:
        """End the iteration as failed."""
        raise IterationFailedError(message)

    def stop(self) -> None:
        """Let this iteration be the last one of the user."""
        self.stops = True

    def stop_run(self) -> None:
        """Let no other iteration begin: the run ends when those in progress have ended."""
        self._driver.stop_run()

    @property
    def base_url(self) -> str:
        """The address that URLs beginning with / continue."""
        return self._driver.base_url

    @property
    def cookies(self) -> Jar | None:
        """The cookies of the user; None in a scenario with `cookies: false`."""
        return self._driver.cookies()

    @property
    def random(self) -> Random:
        """Random numbers that depend on the seed of the run and the iteration only."""
        if self._random is None:
            self._random = self._driver.random()
        return self._random

    def data(self, name: str) -> dict[str, Any]:
        """Return the row of test data that the iteration, or per user the user, has, by its columns."""
        return self._driver.row(name)
