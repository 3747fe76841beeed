"""Random specs, as plain data: what a person could have written.

`specs()` draws from everything that compiles; `specs(runnable=True)` only what ends within a second or two, needs no
certificate, proxy or token server, and can be sent to any server at `base`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from atm.plan.share import Share

Data = dict[str, Any]

BASE = "http://127.0.0.1:8765"
ENVIRONMENT = {"TOKEN": "s3cret-token", "PASSWORD": "pa:ss wörd", "REGION": "eu west/1", "TARGET_SHOP": "shop-7"}
"""The environment in which drawn specs compile."""

_TEMPLATES = (
    "{{uuid}}",
    "{{random_int}}",
    "{{request_number}}",
    "{{timestamp_unix}}",
    "{{timestamp}}",
    "{{env:REGION}}",
    "{{target:SHOP}}",
    "{{colour}}",
    "{{colour|raw}}",
    "\\{{",
)
_VARIABLES = {"colour": "dark blue & {{random_int}}"}
_words = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12).map(
    lambda text: text.replace("{{", "").replace("}}", "")
)
_line = st.lists(st.one_of(_words, st.sampled_from(_TEMPLATES)), max_size=3).map("".join)
_path_part = st.one_of(
    st.from_regex(r"[A-Za-z0-9_.~é-]{1,8}", fullmatch=True), st.sampled_from([*_TEMPLATES[:8], "a%20b"])
)
_names = st.from_regex(r"[A-Za-z][A-Za-z0-9 /-]{0,15}[A-Za-z0-9]", fullmatch=True)
_header_names = st.from_regex(r"X-[A-Z][a-z]{0,8}", fullmatch=True)
_methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"])
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9), _line),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_words, inner, max_size=3)),
    max_leaves=6,
)
_bodies = st.one_of(_line, st.dictionaries(_words, _json, max_size=3), st.lists(_json, max_size=2))
_statuses = st.lists(
    st.one_of(st.integers(200, 599), st.sampled_from(["2xx", "4XX", "200-204"])), min_size=1, max_size=3
)
_auths: st.SearchStrategy[Data] = st.one_of(
    st.just({"type": "none"}),
    st.just({"type": "bearer_token", "token": "{{env:TOKEN}}"}),
    st.just({"type": "api_key", "key": "abc", "header_name": "X-Key"}),
    st.just({"type": "basic", "username": "ada", "password": "{{env:PASSWORD}}"}),
)
_fetched_auths: st.SearchStrategy[Data] = st.one_of(
    st.just({"type": "jwt", "secret": "{{env:TOKEN}}", "expires_in_seconds": 60}),
    st.just(
        {
            "type": "oauth2_client_credentials",
            "token_url": "http://127.0.0.1:1/token",
            "client_id": "ci",
            "client_secret": "{{env:TOKEN}}",
        }
    ),
)


@st.composite
def targets(draw: st.DrawFn, base: str = BASE) -> str:
    """URLs below `base`, with templates in path and query."""
    path = "/".join(draw(st.lists(_path_part, max_size=3)))
    pairs = draw(st.lists(st.tuples(st.sampled_from(["q", "page", "x-y"]), _path_part), max_size=2))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return f"{base}/{path}" + (f"?{query}" if query else "")


@st.composite
def requests(draw: st.DrawFn, base: str, *, runnable: bool) -> Data:
    """The fields that a spec with a single url and an endpoint have in common."""
    request: Data = {"url": draw(targets(base)), "method": draw(_methods)}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "headers": st.dictionaries(_header_names, _line, max_size=2),
        "body": _bodies,
        "auth": _auths if runnable else st.one_of(_auths, _fetched_auths),
        "expected_status_codes": _statuses,
    }
    if not runnable:
        optional["expect_body"] = st.one_of(
            st.just("ok"), st.just({"regex": "o+k"}), st.just({"contains": "a", "regex": "^b$"})
        )
    for name, values in optional.items():
        if draw(st.integers(0, 2)) == 0:
            request[name] = draw(values)
    return request


@st.composite
def loads(draw: st.DrawFn, *, runnable: bool) -> Data:
    """The fields that say how much load: `load`, rates, users, totals, durations."""
    seconds = st.sampled_from(["100ms", "300ms", "0.5s", 0.2]) if runnable else st.sampled_from(["30s", "5m", 1, "1h"])
    users = st.integers(1, 8 if runnable else 5_000)
    rate = st.floats(5, 300 if runnable else 1e5)
    fields: Data = {}
    kind = draw(st.sampled_from(["users", "rate", "load", "stages"]))
    if kind == "users":
        fields["concurrency"] = draw(users)
    elif kind == "rate":
        fields["requests_per_second"] = draw(rate)
        if draw(st.booleans()):
            fields["concurrency"] = draw(users)
    else:
        fields["load"] = draw(_load(seconds, users, rate, staged=kind == "stages"))
    ends = draw(st.sampled_from(["total", "duration", "both"] + (["stages"] if kind == "stages" else [])))
    if ends in ("total", "both"):
        fields["total_requests"] = draw(st.integers(1, 80 if runnable else 10**6))
    if ends in ("duration", "both"):
        fields[draw(st.sampled_from(["duration", "duration_seconds"]))] = draw(seconds)
    return fields


@st.composite
def _load(draw: st.DrawFn, seconds: Any, users: Any, rate: Any, *, staged: bool) -> Data:
    model = draw(st.sampled_from(["open", "closed"]))
    load: Data = {"model": model}
    level = users.map(float) if model == "closed" else rate
    if staged:
        stage = st.fixed_dictionaries({"duration": seconds, "target": level})
        load["stages"] = draw(st.lists(stage, min_size=1, max_size=3))
        if draw(st.booleans()):
            load["start"] = draw(level)
    else:
        load["users" if model == "closed" else "rate"] = draw(users if model == "closed" else rate)
    if draw(st.booleans()):
        load["warm_up"] = draw(seconds)
    if model == "open":
        load["arrival"] = draw(st.sampled_from(["even", "poisson"]))
        load["on_saturation"] = draw(st.sampled_from(["queue", "drop"]))
        load["catch_up"] = draw(st.sampled_from(["full", "none"]))
        if draw(st.booleans()):
            load["max_in_flight"] = draw(users)
    elif draw(st.booleans()):
        load["max_rate"] = draw(rate)
    return load


@st.composite
def specs(draw: st.DrawFn, base: str = BASE, *, runnable: bool = False) -> Data:
    """Whole specs that compile in ENVIRONMENT."""
    spec: Data = {"name": draw(_names), "variables": dict(_VARIABLES), "seed": draw(st.integers(0, 2**64 - 1))}
    spec |= draw(loads(runnable=runnable))
    if draw(st.booleans()):
        spec |= draw(requests(base, runnable=runnable))
    else:
        names = draw(st.lists(_names, min_size=1, max_size=4, unique=True))
        spec["endpoints"] = [
            {"name": name, "weight": draw(st.integers(1, 100)), **draw(requests(base, runnable=runnable))}
            for name in names
        ]
        spec["distribution_strategy"] = draw(st.sampled_from(["round_robin", "weighted", "sequential"]))
    spec["thresholds"] = draw(
        st.one_of(
            st.just({"max_latency_p95_ms": 500, "max_error_rate": 0.5}),
            st.lists(st.sampled_from(["p99 < 5s", "ok p95<=800", "error_rate < 1%", "rps > 1 for 2s"]), max_size=3),
        )
    )
    spec[draw(st.sampled_from(["timeout", "timeout_seconds"]))] = draw(st.sampled_from(["2s", 5, "1500ms"]))
    if not runnable and draw(st.booleans()):
        spec |= {"keep_alive": False, "redirects": 3, "http_version": "1.1", "graceful_stop": "10s"}
    return spec


@st.composite
def shares(draw: st.DrawFn) -> tuple[Share, ...]:
    """All shares of a run: up to 17 residues, dealt to as many engines or fewer."""
    engines = draw(st.lists(st.integers(0, 16), min_size=1, max_size=17))
    residues: dict[int, list[int]] = {}
    for residue, engine in enumerate(engines):
        residues.setdefault(engine, []).append(residue)
    return tuple(Share(tuple(own), len(engines)) for own in residues.values())
