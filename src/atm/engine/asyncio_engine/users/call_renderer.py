"""Render the requests that the code of a scenario makes, and find their endpoints."""

from __future__ import annotations

from collections.abc import Callable

from atm.code.user import NOTHING, Call
from atm.engine.asyncio_engine.ledger.ledger import Ledger
from atm.engine.asyncio_engine.scenario.cookies import Jar
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.users.code_model import CodeModel, CodeStep, Head, body_of, target_of
from atm.engine.asyncio_engine.users.connections import Origins
from atm.engine.asyncio_engine.users.scenario_request import with_cookies
from atm.engine.asyncio_engine.users.scenario_step import cookies_of
from atm.models.sanitize import printable
from atm.plan.connections import Origin
from atm.plan.urls import split_authority

_LONGEST_NAME = 128
_ONE_STATUS = (int, str)
_MOST_CACHED = 10_000
"""Requests, and steps of requests, that a scenario keeps ready."""


class CallRenderer:
    """Renders the requests of one scenario; requests that are always the same only once."""

    def __init__(
        self,
        model: CodeModel,
        ledger: Ledger,
        scope: Context,
        origins: Origins,
        origin_of: Callable[[str, str, int], int],
    ) -> None:
        """`origin_of` returns the index of an origin by scheme, host and port, which may be new."""
        self._model = model
        self._ledger = ledger
        self._scope = scope
        self._origins = origins
        self._origin_of = origin_of

    @property
    def base_url(self) -> str:
        """The address that URLs of the code continue."""
        return self._model.base.url + self._model.path

    def rendered(self, call: Call, jar: Jar | None) -> tuple[CodeStep, bytes, bytes]:
        """Return the step of a request, its bytes, and those without the cookies of the jar."""
        body, content_type = None, ""
        if call.json is not NOTHING or call.body is not None:
            body, content_type = body_of(call)
        key: object = None
        head: Head | None = None
        if not call.headers and not call.params:
            key = (call.method, call.url, call.name, content_type, call.timeout, call.expect, call.follows_redirects)
            try:
                head = self._model.heads.get(key)
            except TypeError:  # a list of expected statuses
                key = None
        if head is None:
            head = self._new_head(call, content_type)
            if key is not None and len(self._model.heads) < _MOST_CACHED:
                self._model.heads[key] = head
        bare = head.whole if body is None else head.with_body(body)
        step = head.step
        return step, self._with_cookies(step, bare, jar) if jar is not None and jar.cookies else bare, bare

    def _new_head(self, call: Call, content_type: str) -> Head:
        model = self._model
        path, origin_index, origin = self._place(call.url)
        step = self._step_of(call, path, origin_index)
        target = target_of((model.path if origin is None else "") + path, call.params)
        return model.head(step, call.method, target, call.headers, content_type, origin)

    def _with_cookies(self, step: CodeStep, bare: bytes, jar: Jar) -> bytes:
        origin = self._origins.origins[step.origin]
        target = bare.split(b" ", 2)[1].removeprefix(origin.url.encode())
        return with_cookies(bare, cookies_of(jar, origin, target, self._scope))

    def _place(self, url: str) -> tuple[str, int, Origin | None]:
        """Return the path of a URL and its origin, None for that of the base_url."""
        model = self._model
        if url.startswith("/") and not url.startswith("//"):
            return url, model.origin, None
        authority, _, path = url.partition("://")[2].partition("/")
        head = f"{url.partition('://')[0]}://{authority.partition('?')[0]}"
        scheme, host, port = split_authority(head, url)
        base = model.base
        path = f"/{path}"
        if (scheme, host, port) == (base.scheme, base.host, base.port):
            return path.removeprefix(model.path) if model.path else path, model.origin, None
        index = self._origin_of(scheme, host, port)
        return path, index, self._origins.origins[index]

    def _step_of(self, call: Call, path: str, origin: int) -> CodeStep:
        model = self._model
        expect = call.expect
        if expect is not None and not isinstance(expect, _ONE_STATUS):
            expect = tuple(expect)
        key = (call.method, call.name or path, call.timeout, expect, origin, call.follows_redirects)
        step = model.steps.get(key)
        if step is not None:
            return step
        name = printable(call.name or f"{call.method} {path.partition('?')[0].partition('#')[0]}")
        name = f"{model.name}/{name}"
        if len(name) > _LONGEST_NAME:
            name = name[: _LONGEST_NAME - 1] + "…"
        url = path.partition("?")[0] if call.name is None or call.params else path
        base = model.path if origin == model.origin else ""
        url = printable(f"{self._origins.origins[origin].url}{base}{url}")
        endpoint = self._ledger.code_endpoint(model.flow, name, call.method, url[:2000])
        step = CodeStep(model, call.method, endpoint, call.timeout, expect, origin)
        step.follows_redirects = model.follows_redirects and call.follows_redirects
        if len(model.steps) < _MOST_CACHED:
            model.steps[key] = step
        return step
