from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from atm.models.auth import Jwt, OAuth2ClientCredentials
from atm.models.spec import EndpointSpec, TestSpec
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.load_plan import BodyCheck, Header, Load, Origin, Segment, Step
from atm.plan.spec_reader import read_spec_text
from atm.plan.template_parts import BytesPart, Encoding, LiteralPart, SecretPart, Template, VariablePart
from atm.testing.certificates import Authority
from atm.version import VERSION

SECOND = 1_000_000_000


def compiled(environment: dict[str, str] | None = None, **fields: Any) -> CompiledTest:
    spec = {"name": "a", **({} if "endpoints" in fields else {"url": "http://h/"}), **fields}
    return compile_plan(spec, environment or {})


def step(environment: dict[str, str] | None = None, **fields: Any) -> Step:
    return compiled(environment, **fields).plan.flows[0].steps[0]


def headers(environment: dict[str, str] | None = None, **fields: Any) -> dict[str, Template]:
    return {header.name: header.value for header in step(environment, **fields).headers}


def text(template: Template | None) -> str:
    """A template on one line: variables as {name}, secrets as <slot>."""
    assert template is not None
    marks = []
    for part in template:
        if isinstance(part, LiteralPart):
            marks.append(part.text)
        elif isinstance(part, VariablePart):
            marks.append(f"{{{part.name}}}")
        else:
            assert isinstance(part, SecretPart)
            marks.append(f"<{part.slot}>")
    return "".join(marks)


def test_the_smallest_spec_gets_the_defaults() -> None:
    plan = compiled().plan
    assert plan.endpoints == ("GET /",)
    assert plan.origins == (Origin("http", "h", 80),)
    assert plan.lanes[0].load == Load("closed", (Segment(10, 10, None),))
    assert (plan.total, plan.lanes[0].duration_ns, plan.graceful_stop_ns) == (100, None, 30 * SECOND)
    assert plan.needs == ()
    request = plan.flows[0].steps[0]
    assert text(request.target) == "/"
    assert request.expected_statuses == ((200, 200), (201, 201), (204, 204))
    assert [(header.name, text(header.value)) for header in request.headers] == [
        ("Host", "h"),
        ("User-Agent", f"atm/{VERSION}"),
        ("Accept", "*/*"),
    ]


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("http://h", Origin("http", "h", 80), "h", "/"),
        ("HTTPS://API.Example.com:443/A?b#c", Origin("https", "api.example.com", 443), "api.example.com", "/A?b"),
        ("http://h:8080?x=1", Origin("http", "h", 8080), "h:8080", "/?x=1"),
        ("http://[::1]:81/x", Origin("http", "::1", 81), "[::1]:81", "/x"),
        ("http://[0:0::1]/", Origin("http", "::1", 80), "[::1]", "/"),
        ("http://bücher.example/ü?q=ä%20b%", Origin("http", "xn--bcher-kva.example", 80), "xn--bcher-kva.example",
         "/%C3%BC?q=%C3%A4%20b%25"),
        ('http://h/a"b<c>|[]', Origin("http", "h", 80), "h", "/a%22b%3Cc%3E|[]"),
        ("http://h.:80/", Origin("http", "h.", 80), "h.", "/"),
    ],
)  # fmt: skip
def test_urls_are_taken_apart_and_normalised(url: str, origin: Origin, host: str, target: str) -> None:
    test = compiled(url=url)
    request = test.plan.flows[0].steps[0]
    assert test.plan.origins == (origin,)
    assert (text(request.headers[0].value), text(request.target)) == (host, target)


def test_variables_are_text_in_the_host_and_encoded_behind_it() -> None:
    variables = {"base": "http://h:81/api v1/x", "q": "a/b+{{random_int}}"}
    assert (
        text(step(url="{{base}}/{{q}}?x={{q|raw}}", variables={**variables, "base": "http://h:81/api"}).target)
        == "/api/a%2Fb%2B{random_int}?x=a/b+{random_int}"
    )
    target = step(url="http://h/{{q}}", variables=variables).target
    assert target[1] == VariablePart("random_int", Encoding.PERCENT)


def test_the_environment_is_text_in_the_host_and_a_slot_behind_it() -> None:
    test = compiled({"HOST": "example.org", "KEY": "a b"}, url="http://{{env:HOST}}/x?key={{env:KEY}}")
    assert test.plan.origins[0].host == "example.org"
    assert text(test.plan.flows[0].steps[0].target) == "/x?key=<env:KEY>"
    assert test.secrets == {"env:KEY": "a b"}
    assert test.plan.flows[0].steps[0].target[1] == SecretPart("env:KEY", Encoding.PERCENT)


def test_target_variables_come_from_the_environment_as_text() -> None:
    test = compiled({"TARGET_SHOP": "http://shop:81"}, url="{{target:SHOP}}/{{ target:SHOP }}")
    assert text(test.plan.flows[0].steps[0].target) == "/http%3A%2F%2Fshop%3A81"
    assert test.secrets == {}


def test_variables_win_over_built_ins_and_braces_can_be_literal() -> None:
    assert text(step(body=r"{{uuid}} \{{uuid}} {{timestamp}}", variables={"uuid": "mine"}).body) == (
        "mine {{uuid}} {timestamp}"
    )


def test_an_object_body_is_compact_json_with_escaped_values() -> None:
    body = {"id": "{{random_int}}", "n": [1, 1.5, True, None], "quote": 'a"{{v}}', "ü": "{{env:E}}", "{{v}}": {}}
    request = step({"E": 'x"y'}, body=body, variables={"v": 'b"\n'}, method="POST")
    assert text(request.body) == (
        '{"id":"{random_int}","n":[1,1.5,true,null],"quote":"a\\"b\\"\\n","ü":"<env:E>","b\\"\\n":{}}'
    )
    assert {part.encoding for part in request.body or () if not isinstance(part, LiteralPart | BytesPart)} == {
        Encoding.JSON
    }
    assert text({h.name: h.value for h in request.headers}["Content-Type"]) == "application/json"


def test_a_text_body_is_sent_as_it_is() -> None:
    assert text(step(body='{"a": "{{v}}"}', variables={"v": '"'}).body) == '{"a": """}'
    assert "Content-Type" not in headers(body="x")
    assert step(body="").body == ()
    assert step().body is None


def test_headers_of_the_endpoint_win_and_defaults_can_go() -> None:
    endpoint = {"name": "b", "url": "http://h/", "headers": {"x-a": "2", "accept": "text/html", "X-N": 1.0}}
    found = headers(endpoints=[endpoint], headers={"X-A": "1", "X-B": " 3 ", "user-agent": ""})
    assert {name: text(value) for name, value in found.items()} == {
        "Host": "h", "accept": "text/html", "x-a": "2", "X-B": "3", "X-N": "1"
    }  # fmt: skip


def test_a_header_may_have_several_lines_or_none() -> None:
    lines = step(headers={"X-A": ["1", "2"], "X-B": None, "Accept": None, "User-Agent": [""], "Host": "other"}).headers
    assert [(line.name, text(line.value)) for line in lines] == [
        ("Host", "other"), ("User-Agent", ""), ("X-A", "1"), ("X-A", "2")
    ]  # fmt: skip


def test_null_takes_the_header_of_the_spec_and_of_a_json_body_away() -> None:
    endpoint = {"name": "b", "url": "http://h/", "body": {"a": 1}, "headers": {"x-a": None, "content-type": None}}
    found = headers(endpoints=[endpoint], headers={"X-A": ["1", "2"], "X-B": "3"})
    assert set(found) == {"Host", "User-Agent", "Accept", "X-B"}


def test_header_lines_survive_being_written_and_read() -> None:
    spec = {"name": "a", "url": "http://h/", "headers": {"X-A": ["1", "2"], "X-B": None, "X-C": "3"}}
    assert TestSpec.from_data(spec).to_data() == spec


def test_fields_that_begin_with_x_are_a_place_for_anchors() -> None:
    text = b"x-common: &common {X-A: '1'}\nname: a\nurl: http://h/\nheaders: *common\n"
    assert compile_plan(read_spec_text(text), {}).plan.flows[0].steps[0].headers[3].name == "X-A"


def test_numbers_in_headers_are_sent_as_they_were_written() -> None:
    document = read_spec_text(b"name: a\nurl: http://h/\nheaders: {X-V: 1.10, X-N: 007, X-B: true, X-D: 2026-01-31}\n")
    request = compile_plan(document, {}).plan.flows[0].steps[0]
    assert [text(header.value) for header in request.headers[3:]] == ["1.10", "007", "true", "2026-01-31"]


def test_a_host_header_may_be_given() -> None:
    assert step(headers={"Host": "other"}).headers[0] == Header("Host", (LiteralPart("other"),))


def test_without_keep_alive_the_connection_is_closed() -> None:
    test = compiled(keep_alive=False)
    assert not test.plan.connections.keep_alive
    assert text({h.name: h.value for h in test.plan.flows[0].steps[0].headers}["Connection"]) == "close"


def test_credentials_are_slots() -> None:
    environment = {"T": "t0k"}
    bearer = compiled(environment, auth={"type": "bearer_token", "token": "{{env:T}}"})
    assert bearer.secrets == {"auth": "t0k"}
    assert text(bearer.plan.flows[0].steps[0].headers[-1].value) == "Bearer <auth>"
    key = compiled(auth={"type": "api_key", "key": "k", "header_name": "X-Key"})
    assert key.plan.flows[0].steps[0].headers[-1] == Header("X-Key", (SecretPart("auth"),))
    basic = compiled(auth={"type": "basic", "username": "ada", "password": "pä:ss"})
    assert base64.b64decode(basic.secrets["auth"]).decode() == "ada:pä:ss"
    assert text(basic.plan.flows[0].steps[0].headers[-1].value) == "Basic <auth>"


def test_literal_credentials_in_headers_are_slots_too() -> None:
    test = compiled({"T": "x"}, headers={"authorization": "Bearer {{env:T}}", "Cookie": "a=1", "X-Auth-Token": "abc"})
    assert [text(header.value) for header in test.plan.flows[0].steps[0].headers[3:]] == [
        "Bearer <env:T>",
        "<headers.Cookie>",
        "<headers.X-Auth-Token>",
    ]
    assert test.secrets == {"env:T": "x", "headers.Cookie": "a=1", "headers.X-Auth-Token": "abc"}


def test_literal_credentials_in_urls_bodies_and_variables_are_slots_too() -> None:
    """What the shown spec masks, samples must be able to mask."""
    test = compiled(
        {"T": "t"},
        url="http://h/x?page=1&api_key=abc{{uuid}}d?e&token={{env:T}}&secret=f%20g&token",
        body={"password": 'p"w', "pin": 1, "deep": [{"client_secret": 42, "tokens": 5}], "v": "{{apiKey}}"},
        headers={"X-V": "{{apiKey}}"},
        variables={"apiKey": "key{{random_int}}s", "colour": "red"},
        method="POST",
    )
    request = test.plan.flows[0].steps[0]
    assert text(request.target) == (
        "/x?page=1&api_key=<url>{uuid}<url#2><url#3><url#4>&token=<env:T>&secret=<url#5>&token"
    )
    assert text(request.body) == (
        '{"password":"<body.password>","pin":<body.pin>,"deep":[{"client_secret":<body.deep[0].client_secret>,"tokens":5}],'
        '"v":"<variables.apiKey>{random_int}<variables.apiKey#2>"}'
    )
    assert text(request.headers[-2].value) == "<variables.apiKey>{random_int}<variables.apiKey#2>"
    assert test.secrets == {
        "env:T": "t", "url": "abc", "url#2": "d", "url#3": "?", "url#4": "e", "url#5": "f%20g",
        "body.password": 'p\\"w', "body.pin": "1", "body.deep[0].client_secret": "42", "variables.apiKey": "key",
        "variables.apiKey#2": "s",
    }  # fmt: skip


def test_fetched_credentials_are_handed_on_with_their_templates_filled_in() -> None:
    oauth = {
        "type": "oauth2_client_credentials", "token_url": "{{base}}/t", "client_id": "ci", "client_secret": "{{env:S}}"
    }  # fmt: skip
    endpoints = [
        {"name": "a", "url": "http://h/"},
        {
            "name": "b",
            "url": "http://h/",
            "auth": {"type": "jwt", "secret": "k", "claims": {"a": 1}, "expires_in": "1m"},
        },
        {"name": "c", "url": "http://h/", "auth": {"type": "none"}},
    ]
    test = compiled({"S": "s3"}, auth=oauth, endpoints=endpoints, variables={"base": "http://login"})
    assert test.credentials == {
        "auth": OAuth2ClientCredentials(
            type="oauth2_client_credentials", token_url="http://login/t", client_id="ci", client_secret="s3"
        ),
        "endpoints[1].auth": Jwt(type="jwt", secret="k", claims={"a": 1}, expires_in=60),
    }
    assert [text(flow.steps[0].headers[-1].value) for flow in test.plan.flows] == [
        "Bearer <auth>",
        "Bearer <endpoints[1].auth>",
        "*/*",
    ]


def test_expectations_of_an_endpoint_stand_before_those_of_the_spec() -> None:
    endpoints = [
        {"name": "a", "url": "http://h/", "expected_status_codes": ["2xx", 404, "300-302", 404], "timeout": "2s",
         "expect_body": {"contains": "ok", "regex": "^a+$"}},
        {"name": "b", "url": "https://h/", "expect_body": "fine"},
    ]  # fmt: skip
    plan = compiled(endpoints=endpoints, expected_status_codes="2xx", timeout_seconds=1).plan
    first, second = (flow.steps[0] for flow in plan.flows)
    assert first.expected_statuses == ((200, 299), (300, 302), (404, 404))
    assert second.expected_statuses == ((200, 299),)
    assert (first.timeout_ns, second.timeout_ns, plan.graceful_stop_ns) == (2 * SECOND, SECOND, 2 * SECOND)
    assert first.checks == (BodyCheck("contains", "ok"), BodyCheck("regex", "^a+$"))
    assert second.checks == (BodyCheck("contains", "fine"),)
    assert plan.needs == ("tls", "body_checks")


def test_a_rate_is_an_open_load_and_concurrency_then_a_limit() -> None:
    assert compiled(requests_per_second=50).plan.lanes[0].load == Load("open", (Segment(50, 50, None),))
    assert compiled(requests_per_second=50, concurrency=4).plan.lanes[0].load.max_in_flight == 4
    assert compiled(concurrency=4, duration="1m").plan.lanes[0].load == Load("closed", (Segment(4, 4, None),))


def test_the_total_defaults_to_a_hundred_only_without_another_end() -> None:
    stages = {"model": "open", "stages": [{"duration": 1, "target": 5}]}
    assert compiled(duration=5).plan.total is None
    assert compiled(load=stages).plan.total is None
    assert compiled(load=stages, total_requests=7).plan.total == 7
    assert compiled(load={"rate": 5}).plan.total == 100


def test_stages_become_segments_and_warm_up_stays_outside() -> None:
    load = (
        compiled(
            load={
                "model": "open",
                "start": 5,
                "stages": [
                    {"duration": "10s", "target": 50},
                    {"duration": 0, "target": 80},
                    {"duration": "1m", "target": 80},
                    {"duration": "500ms", "target": 0},
                ],
                "warm_up": "2s",
                "arrival": "poisson",
                "on_saturation": "drop",
                "catch_up": "none",
                "catch_up_max_seconds": 3,
                "max_in_flight": 9,
            }
        )
        .plan.lanes[0]
        .load
    )
    assert load == Load(
        "open",
        (Segment(5, 50, 10 * SECOND), Segment(80, 80, 60 * SECOND), Segment(80, 0, SECOND // 2)),
        warm_up_ns=2 * SECOND,
        warm_up_level=5,
        arrival="poisson",
        on_saturation="drop",
        catch_up="none",
        catch_up_max_ns=3 * SECOND,
        max_in_flight=9,
    )


def test_warm_up_of_a_ramp_from_nothing_runs_at_its_first_level() -> None:
    load = compiled(load={"model": "closed", "stages": [{"duration": 5, "target": 8}], "warm_up": 1}).plan.lanes[0].load
    assert load.warm_up_level == 8
    assert compiled(load={"users": 3, "warm_up": 1, "warm_up_level": 1}).plan.lanes[0].load.warm_up_level == 1


def test_thresholds_of_all_three_places_are_gathered() -> None:
    endpoints = [{"name": "a", "url": "http://h/", "thresholds": {"max_latency_p50_ms": 20, "expressions": "max < 1s"}}]
    thresholds = {
        "max_latency_p99_ms": 300,
        "max_error_rate": 0.015,
        "min_throughput_rps": 1e-3,
        "expressions": ["a: p99 < 1s", {"expression": "rps > 5 for 2s", "abort": True, "abort_after": "3s"}],
    }
    found = compiled(endpoints=endpoints, thresholds=thresholds).plan.thresholds
    assert [threshold.expression for threshold in found] == [
        "p99 <= 300 ms",
        "error_rate <= 1.5 %",
        "throughput >= 0.001",
        "a: p99 < 1 s",
        "rps > 5 for 2 s",
        "a: p50 <= 20 ms",
        "a: max < 1 s",
    ]
    assert (found[4].abort, found[4].abort_after_seconds, found[4].window_seconds) == (True, 3.0, 2)


def test_connections_are_as_the_spec_says(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = authority.client("one")
    files = {"ca.pem": authority.ca_file, "c.pem": client.certificate, "k.pem": client.key}
    spec = {
        "name": "a",
        "url": "https://api.example.com/",
        "tls": {"ca": "ca.pem", "cert": "c.pem", "key": "k.pem", "server_name": "x"},
        "proxy": "http://ada:p%40ss@proxy:3128",
        "redirects": 3,
        "max_response_bytes": 1000,
        "http_version": 2,
        "streams_per_connection": 4,
        "connect_to": ["other:443:1.1.1.1:1", "api.example.com:443:10.0.0.5:"],
        "source_addresses": ["10.0.0.7"],
        "resolve_every": "30s",
    }
    test = compile_plan(spec, {}, read_tls_file=lambda name: files[name].read_bytes())
    connections = test.plan.connections
    assert test.plan.origins == (Origin("https", "api.example.com", 443, "10.0.0.5", 0),)
    assert connections.tls.ca_pem == authority.ca_file.read_text()
    assert connections.tls.certificate_pem == client.certificate.read_text()
    assert test.secrets[connections.tls.key_slot] == client.key.read_text()
    assert connections.proxy is not None
    assert connections.proxy.origin == Origin("http", "proxy", 3128)
    assert base64.b64decode(test.secrets[connections.proxy.authorization_slot].removeprefix("Basic ")) == b"ada:p@ss"
    assert (connections.redirects, connections.http_version, connections.streams_per_connection) == (3, "2", 4)
    assert test.plan.needs == (
        "tls", "client_certificate", "proxy", "redirects", "http2", "source_addresses", "re_resolution"
    )  # fmt: skip


def test_what_a_plan_needs_is_spelled_as_engines_spell_it() -> None:
    from atm.engine.base import Capability
    from atm.plan.compile import _needs

    test = compiled(url="https://h/", expect_body="x", redirects=1, resolve_every=1, source_addresses="10.0.0.1")
    assert set(_needs(test.plan.flows, test.plan.origins, test.plan.connections, has_hooks=True)) <= set(Capability)


def test_the_seed_is_the_specs_or_the_callers() -> None:
    assert compile_plan({"name": "a", "url": "http://h/"}, {}, default_seed=9).plan.seed == 9
    assert compile_plan({"name": "a", "url": "http://h/", "seed": 2**64 - 1}, {}, default_seed=9).plan.seed == 2**64 - 1


def test_a_model_compiles_like_its_data() -> None:
    spec = TestSpec(name="a", endpoints=[EndpointSpec(name="b", url="http://h/{{uuid}}")], duration=5.0)
    data = {"name": "a", "endpoints": [{"name": "b", "url": "http://h/{{uuid}}"}], "duration": "5s"}
    assert compile_plan(spec, {}).plan == compile_plan(data, {}).plan


def test_what_is_probably_not_meant_is_a_note() -> None:
    endpoints = [{"name": "b", "url": "http://h/", "weight": 5}]
    test = compiled(endpoints=endpoints, method="POST", body={"a": 1})
    assert [note.what for note in test.notes] == [
        "method belongs to url and is not used with endpoints",
        "body belongs to url and is not used with endpoints",
        "weight is not used with distribution_strategy round_robin",
    ]


FIRST_DESIGN: list[dict[str, Any]] = [
    {"name": "a", "url": "http://h/"},
    {
        "name": "a", "description": None, "url": "http://h/users", "method": "POST", "headers": {"X": "1"},
        "body": {"a": "{{uuid}}"}, "endpoints": None, "distribution_strategy": "round_robin", "total_requests": 1000000,
        "concurrency": 1000, "requests_per_second": None, "timeout_seconds": 30.0,
        "expected_status_codes": [200, 201, 204],
        "thresholds": {"max_latency_p50_ms": 1, "max_latency_p95_ms": 2.5, "max_latency_p99_ms": 3, "max_error_rate": 0,
                       "min_throughput_rps": 0.1},
        "variables": {"v": "x"}, "auth": None,
    },
    {
        "name": "a", "endpoints": [
            {"name": "b", "url": "http://h/b", "method": "GET", "headers": {}, "body": None, "weight": 100,
             "expected_status_codes": [200]},
            {"name": "c", "url": "{{target:X}}/c", "method": "put", "body": "text {{random_int}}", "weight": 1},
        ], "distribution_strategy": "weighted", "total_requests": 10, "requests_per_second": 10000, "concurrency": 5,
        "thresholds": {}, "headers": {}, "method": "GET", "body": None, "url": None,
        "auth": {"type": "oauth2_password_grant", "token_url": "http://h/t", "client_id": "c", "username": "u",
                 "password": "p", "scope": None},
    },
    {"name": "a", "url": "http://h/{{env:E}}", "distribution_strategy": "sequential",
     "auth": {"type": "jwt", "secret": "s", "algorithm": "RS256", "issuer": "i", "subject": "s", "audience": "a",
              "claims": {"x": [1]}, "expires_in_seconds": 60}},
]  # fmt: skip


@pytest.mark.parametrize("spec", FIRST_DESIGN)
def test_specs_of_the_first_design_run_unchanged(spec: dict[str, Any]) -> None:
    assert compile_plan(spec, {"E": "e", "TARGET_X": "http://h"}).plan.flows
