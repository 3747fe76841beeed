"""Plans in few words."""

from __future__ import annotations

import re
from typing import Any

from atm.plan.connections import Connections, Origin
from atm.plan.load_plan import BodyCheck, Flow, Header, Lane, Load, LoadPlan, Segment, Step
from atm.plan.template_parts import Encoding, LiteralPart, Part, SecretPart, Template, VariablePart
from atm.testing import TargetServer

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
ANY_STATUS = ((100, 599),)
_VARIABLES = ("uuid", "timestamp", "timestamp_unix", "request_number", "random_int")
NUMBERED = ("X-Request-Number", "{{request_number}}")
"""A header by which the target's record knows the request's number."""


def template(text: str, encoding: Encoding = Encoding.RAW) -> Template:
    """`{{name}}` is a variable, `{{secret:slot}}` a secret, everything else is literal."""
    parts: list[Part] = []
    for number, piece in enumerate(re.split(r"\{\{(.+?)\}\}", text)):
        if number % 2 == 0:
            if piece:
                parts.append(LiteralPart(piece))
        elif piece.startswith("secret:"):
            parts.append(SecretPart(piece.removeprefix("secret:"), encoding))
        else:
            assert piece in _VARIABLES
            parts.append(VariablePart(piece, encoding))  # type: ignore[arg-type]  # it is one of them
    return tuple(parts)


def http(target: TargetServer) -> Origin:
    return Origin("http", "127.0.0.1", target.port, addresses=("127.0.0.1",))


def https(target: TargetServer, host: str = "127.0.0.1") -> Origin:
    return Origin("https", host, target.tls_port, addresses=("127.0.0.1",))


def step(
    path: str = "/",
    *,
    method: str = "GET",
    headers: tuple[tuple[str, str], ...] = (),
    body: str | None = None,
    expected: tuple[tuple[int, int], ...] = ((200, 299),),
    checks: tuple[BodyCheck, ...] = (),
    timeout: float = 5.0,
    encoding: Encoding = Encoding.RAW,
    origin: int = 0,
) -> Step:
    lines = (("Host", "target.test"), *headers)
    return Step(
        endpoint=0,
        origin=origin,
        method=method,
        target=template(path, Encoding.PERCENT if encoding is Encoding.JSON else encoding),
        headers=tuple(Header(name, template(value)) for name, value in lines),
        body=None if body is None else template(body, encoding),
        expected_statuses=expected,
        checks=checks,
        timeout_ns=int(timeout * SECOND),
    )


def closed(users: float = 1, **fields: Any) -> Load:
    return Load("closed", (Segment(users, users, None),), **fields)


def opened(rate: float, **fields: Any) -> Load:
    return Load("open", (Segment(rate, rate, None),), **fields)


def plan(
    origin: Origin | tuple[Origin, ...],
    *steps: Step,
    load: Load | None = None,
    total: int | None = None,
    duration: float | None = None,
    graceful: float = 5.0,
    selection: Any = "round_robin",
    weights: tuple[int, ...] = (),
    connections: Connections | None = None,
    seed: int = 1,
    **fields: Any,
) -> LoadPlan:
    """A plan of one-step flows named `e0`, `e1`, …; one closed user and one request by default."""
    from dataclasses import replace

    numbered = [replace(each, endpoint=number) for number, each in enumerate(steps or (step(),))]
    flows = tuple(
        Flow(f"e{number}", weights[number] if weights else 1, (each,)) for number, each in enumerate(numbered)
    )
    if load is None:
        load = closed()
        if duration is None and total is None:
            total = 1
    return LoadPlan(
        name="contract",
        seed=seed,
        endpoints=tuple(flow.name for flow in flows),
        origins=origin if isinstance(origin, tuple) else (origin,),
        flows=flows,
        lanes=(
            Lane(
                name="contract",
                flows=tuple(range(len(flows))),
                selection=selection,
                load=load,
                total=total,
                duration_ns=None if duration is None else int(duration * SECOND),
            ),
        ),
        graceful_stop_ns=int(graceful * SECOND),
        connections=connections or Connections(),
        **fields,
    )


def with_flows(made: LoadPlan, *flows: Flow) -> LoadPlan:
    """The plan with other flows, all in its only lane."""
    from dataclasses import replace

    (lane,) = made.lanes
    return replace(made, flows=flows, lanes=(replace(lane, flows=tuple(range(len(flows)))),))
