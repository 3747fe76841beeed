"""Control characters in values: none gets into a request line, a header or Host, by any template, on any engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

import atm
from atm.engine.base import Engine
from atm.errors import EngineError, SpecError
from atm.plan.compile import compile_plan
from atm.plan.connections import Connections, Origin
from atm.plan.template_parts import Encoding
from tests.contract.engine_runs import run
from tests.contract.engines import ENGINES
from tests.contract.plans import plan, step
from tests.security.listener import Recorder

SMUGGLED = "a HTTP/1.1\r\nX-Injected: 1\r\n\r\nGET /smuggled"
BREAKS = [SMUGGLED, "a\nb", "a\rb", "a\0b", "a\x1bb", "a\x7fb"]


def specs(port: int, value: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, str]]]:
    """Each place of a request's head, filled with `value` by each kind of template; and the environment for it."""
    base: dict[str, Any] = {"name": "smuggling", "total_requests": 1, "url": f"http://127.0.0.1:{port}/"}
    sources: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
        ("v", {"v": value}, {}),
        ("token", {"token": value}, {}),
        ("v", {"v": "{{env:X}}"}, {"X": value}),
        ("env:X", {}, {"X": value}),
        ("target:X", {}, {"TARGET_X": value}),
    )
    for name, variables, environment in sources:
        filled = {**base, "variables": variables}
        for url in (
            f"http://127.0.0.1:{port}/{{{{{name}|raw}}}}",
            f"http://127.0.0.1:{port}/x?q={{{{ {name} | raw }}}}&b=1",
            f"http://127.0.0.1:{port}{{{{{name}|raw}}}}/",
            f"http://[fe80::1%{{{{{name}|raw}}}}]:{port}/",
            f"{{{{{name}|raw}}}}",
        ):
            yield {**filled, "url": url}, environment
        for header in ("X-A", "Host", "Authorization", "Cookie", "User-Agent"):
            yield {**filled, "headers": {header: f"a {{{{{name}|raw}}}}"}}, environment
        yield {**filled, "auth": {"type": "bearer", "token": f"{{{{{name}}}}}"}}, environment
        yield {**filled, "auth": {"type": "api_key", "key": f"{{{{{name}}}}}"}}, environment
    yield {**base, "headers": {"X-A": value}}, {}
    yield {**base, "headers": {f"X-{value}": "a"}}, {}
    yield {**base, "method": value}, {}
    yield {**base, "url": f"http://127.0.0.1:{port}/{value}"}, {}
    yield {**base, "url": f"http://[fe80::1%{value}]:{port}/"}, {}
    yield {**base, "tls": {"server_name": f"h{value}"}}, {}
    yield {**base, "auth": {"type": "api_key", "key": "k", "header_name": f"X{value}"}}, {}


@pytest.mark.parametrize("value", BREAKS, ids=ascii)
def test_a_value_that_would_end_a_line_is_an_error_of_the_spec(value: str) -> None:
    for spec, environment in specs(1, value):
        with pytest.raises(SpecError) as error:
            compile_plan(spec, environment)
        assert all(problem.what and problem.path for problem in error.value.problems), spec


@pytest.mark.parametrize("engine", [name for name in ENGINES if name in ("native", "asyncio")])
def test_nothing_smuggled_arrives_and_a_value_that_is_not_raw_is_encoded(engine: str, recorder: Recorder) -> None:
    for spec, environment in specs(recorder.port, SMUGGLED):
        with suppress(SpecError):
            atm.run_sync({**spec, "engine": engine}, environment=environment)
    assert recorder.received == b""
    encoded = {
        "name": "encoded",
        "url": f"http://127.0.0.1:{recorder.port}/{{{{v}}}}",
        "variables": {"v": SMUGGLED},
        "total_requests": 1,
        "engine": engine,
    }
    assert atm.run_sync(encoded).metrics.successful_requests == 1
    line = b"GET /a%20HTTP%2F1.1%0D%0AX-Injected%3A%201%0D%0A%0D%0AGET%20%2Fsmuggled HTTP/1.1\r\n"
    assert recorder.received.startswith(line)
    assert recorder.received.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("name", [name for name in ENGINES if name in ("native", "asyncio")])
@pytest.mark.parametrize("value", BREAKS, ids=ascii)
def test_an_engine_refuses_a_plan_from_elsewhere_that_would_smuggle(name: str, value: str, recorder: Recorder) -> None:
    engine: Engine = ENGINES[name]()
    origin = Origin("http", "127.0.0.1", recorder.port, addresses=("127.0.0.1",))
    secret = {"s": value}
    for one, secrets in (
        (step("/{{secret:s}}", encoding=Encoding.RAW), secret),
        (step("/", headers=(("X-A", "{{secret:s}}"),)), secret),
        (step(f"/{value}", encoding=Encoding.RAW), {}),
        (step("/", headers=(("X-A", value),)), {}),
    ):
        for version in ("1.1", "2") if "http2" in engine.capabilities else ("1.1",):
            made = plan(origin, one, connections=Connections(http_version=version))
            with pytest.raises(EngineError):
                run(engine, made, secrets)
    assert recorder.received == b""
