"""Every problem that a spec can have, by the words that a person sees."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from atm.errors import SpecError
from atm.plan.compile import compile_plan
from atm.plan.spec_reader import read_spec_text

ENVIRONMENT = {"TOKEN": "t0ken", "BROKEN": "one\r\ntwo"}


def error_text(text: str | bytes, environment: Mapping[str, str] = ENVIRONMENT, name: str = "shop.yaml") -> str:
    """Return the error text for a spec."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(SpecError) as error:
        compile_plan(read_spec_text(data, name), environment)
    return str(error.value)


URL = "name: a\nurl: http://127.0.0.1/\n"

CASES = {
    "unknown field, with the nearest one": (
        URL + "concurency: 5\n",
        'error: unknown field "concurency" [unknown_field]\n'
        "  at: concurency, shop.yaml:3\n"
        "  hint: Did you mean `concurrency`? `atm schema` lists every field",
    ),
    "field at the wrong level": (
        URL + "load:\n  users: 5\n  duration: 30s\n",
        'error: unknown field "duration" [unknown_field]\n'
        "  at: load.duration, shop.yaml:5\n"
        "  hint: `duration` belongs at the top level of the spec. `atm schema` lists every field",
    ),
    "name that is another one here": (
        URL + "load:\n  concurency: 5\n",
        'error: unknown field "concurency" [unknown_field]\n'
        "  at: load.concurency, shop.yaml:4\n"
        "  hint: Did you mean `users`? `atm schema` lists every field",
    ),
    "missing name": (
        "url: http://127.0.0.1/\n",
        "error: the spec needs a field name [missing_field]\n  at: name, shop.yaml:1\n  hint: Add `name: checkout`",
    ),
    "url and endpoints": (
        URL + "endpoints: [{name: b, url: http://127.0.0.1/}]\n",
        "error: the spec has both url and endpoints [url_and_endpoints]\n"
        "  at: endpoints, shop.yaml:3\n"
        "  hint: Turn url into one of the endpoints, or remove it",
    ),
    "neither url nor endpoints": (
        "name: a\n",
        "error: the spec has neither url nor endpoints [no_url]\n"
        "  at: shop.yaml:1\n"
        "  hint: Add `url: https://api.example.com/users`",
    ),
    "no endpoints in the list": (
        "name: a\nendpoints: []\n",
        "error: endpoints must not be empty [wrong_length]\n  at: endpoints, shop.yaml:2",
    ),
    "unknown variable": (
        "name: a\nendpoints:\n  - name: b\n    url: http://127.0.0.1/orders/{{user_id}}\n",
        "error: {{user_id}} is not defined [unknown_variable]\n"
        "  at: endpoints[0].url character 25, shop.yaml:4\n"
        '  hint: Add `variables: {user_id: "42"}` or `--var user_id=42`. '
        "Defined: uuid, timestamp, timestamp_unix, request_number, random_int",
    ),
    "misspelled variable": (
        'name: a\nvariables: {base: "http://h"}\nurl: "{{bas}}/x"\n',
        "error: {{bas}} is not defined [unknown_variable]\n"
        "  at: url character 1, shop.yaml:3\n"
        "  hint: Did you mean {{base}}? Defined: base, uuid, timestamp, timestamp_unix, request_number, random_int",
    ),
    "variable in a variable": (
        URL + 'variables: {a: "{{b}}", b: x}\nbody: "{{a}}"\n',
        "error: {{b}} cannot be used inside another variable [nested_variable]\n"
        "  at: variables.a character 1, shop.yaml:3\n"
        "  hint: Variables may hold built-ins and {{env:NAME}}, no other variables",
    ),
    "template that is not closed": (
        URL + 'body: "a {{uuid"\n',
        "error: {{ is never closed [bad_template]\n"
        "  at: body character 3, shop.yaml:3\n"
        r"  hint: Close it with }}, or write \{{ for two literal braces",
    ),
    "missing environment variable": (
        URL + 'headers: {X-A: "{{env:NOPE}}"}\n',
        "error: the environment variable NOPE is not set [env_not_set]\n"
        "  at: headers.X-A character 1, shop.yaml:3\n"
        "  hint: Set it first: `export NOPE=…`",
    ),
    "missing target variable": (
        "name: a\nurl: '{{target:SHOP}}/x'\n",
        "error: the environment variable TARGET_SHOP is not set [env_not_set]\n"
        "  at: url character 1, shop.yaml:2\n"
        "  hint: Set it first: `export TARGET_SHOP=…`",
    ),
    "URL without a scheme": (
        "name: a\nurl: localhost:8080/x\n",
        'error: the URL "localhost:8080/x" has no scheme [bad_url]\n'
        "  at: url, shop.yaml:2\n"
        '  hint: Write "http://localhost:8080/x"',
    ),
    "URL with another scheme": (
        "name: a\nurl: ftp://h/x\n",
        'error: the URL "ftp://h/x" has the scheme "ftp"; supported are http and https [bad_url]\n'
        "  at: url, shop.yaml:2",
    ),
    "URL without a host": (
        "name: a\nurl: http:///x\n",
        'error: the URL "http:///x" has no host [bad_url]\n  at: url, shop.yaml:2\n  hint: Write "http://host/path"',
    ),
    "URL with a bad port": (
        "name: a\nurl: http://h:99999/x\n",
        'error: the port "99999" is not a number from 1 to 65535 [bad_url]\n  at: url, shop.yaml:2',
    ),
    "URL with a space": (
        "name: a\nurl: http://h/a b\n",
        "error: the URL holds a space or a control character [bad_url]\n"
        "  at: url, shop.yaml:2\n"
        "  hint: Write a space as %20",
    ),
    "URL with a password": (
        "name: a\nurl: http://u:p@h/\n",
        "error: the URL holds a user name or a password [bad_url]\n"
        "  at: url, shop.yaml:2\n"
        "  hint: Use `auth: {type: basic, username: …, password: …}`",
    ),
    "URL with a bad host": (
        "name: a\nurl: http://a..b/\n",
        'error: "a..b" is not a valid host name [bad_url]\n'
        "  at: url, shop.yaml:2\n"
        "  hint: A host has letters, digits and hyphens between its dots",
    ),
    "URL with a bad address": (
        "name: a\nurl: http://127.0.0.256/\n",
        'error: "127.0.0.256" is not an IPv4 address [bad_url]\n'
        "  at: url, shop.yaml:2\n"
        "  hint: Four numbers from 0 to 255: 127.0.0.1",
    ),
    "URL with a bad IPv6 address": (
        "name: a\nurl: http://[::g]/\n",
        'error: "[::g]" is not an IPv6 address [bad_url]\n  at: url, shop.yaml:2',
    ),
    "URL with a zone id": (
        "name: a\nurl: http://[fe80::1%lo]/\n",
        'error: "[fe80::1%lo]" has a zone id, which is not supported [bad_url]\n  at: url, shop.yaml:2\n'
        "  hint: Use an address that is the same on every interface, or a name from /etc/hosts",
    ),
    "host that varies": (
        "name: a\nurl: http://h{{random_int}}.example/\n",
        "error: {{random_int}} differs per request, which the host of a URL must not [varying_host]\n"
        "  at: url, shop.yaml:2\n"
        "  hint: Use one endpoint per host, or put the variable after the first slash",
    ),
    "zero": (
        URL + "total_requests: 0\n",
        "error: total_requests must be at least 1, not 0 [out_of_range]\n  at: total_requests, shop.yaml:3",
    ),
    "negative": (
        URL + "timeout: -1\n",
        "error: timeout: a duration is between 0 and 366 days, not -1 [bad_duration]\n"
        "  at: timeout, shop.yaml:3\n"
        '  hint: Write seconds (`90`) or a unit: "250ms", "30s", "1m30s", "2h"',
    ),
    "fraction of a request": (
        URL + "total_requests: 2.5\n",
        "error: total_requests must be a whole number, not 2.5 [wrong_type]\n  at: total_requests, shop.yaml:3",
    ),
    "boolean for a number": (
        URL + "concurrency: true\n",
        "error: concurrency must be a whole number, not true [wrong_type]\n  at: concurrency, shop.yaml:3",
    ),
    "not a number": (
        URL + "requests_per_second: .nan\n",
        "error: requests_per_second must be a number, not NaN [out_of_range]\n  at: requests_per_second, shop.yaml:3",
    ),
    "infinite": (
        URL + "requests_per_second: .inf\n",
        "error: requests_per_second must be at most 1,000,000,000, not infinity [out_of_range]\n"
        "  at: requests_per_second, shop.yaml:3",
    ),
    "huge": (
        URL + f"seed: {10**400}\n",
        "error: seed must be at most 18,446,744,073,709,551,615, not infinity [out_of_range]\n  at: seed, shop.yaml:3",
    ),
    "seed beyond 64 bits": (
        URL + f"seed: {2**64}\n",
        "error: seed must be at most 18,446,744,073,709,551,615, not 18446744073709551616 [out_of_range]\n"
        "  at: seed, shop.yaml:3",
    ),
    "sexagesimal duration": (
        URL + "duration: 1:30\n",
        'error: duration: "1:30" is not a duration [bad_duration]\n'
        "  at: duration, shop.yaml:3\n"
        '  hint: Write seconds (`90`) or a unit: "250ms", "30s", "1m30s", "2h"',
    ),
    "both spellings": (
        URL + "timeout: 5\ntimeout_seconds: 6\n",
        "error: timeout and timeout_seconds are the same field [conflict]\n"
        "  at: timeout_seconds, shop.yaml:4\n"
        "  hint: Keep `timeout`",
    ),
    "weight": (
        "name: a\nendpoints: [{name: b, url: http://h/, weight: 1000001}]\n",
        "error: weight must be at most 1,000,000, not 1000001 [out_of_range]\n  at: endpoints[0].weight, shop.yaml:2",
    ),
    "two endpoints of one name": (
        "name: a\nendpoints:\n  - {name: b, url: http://h/}\n  - {name: b, url: http://h/}\n",
        'error: two endpoints are called "b" [duplicate_name]\n'
        "  at: endpoints[1].name, shop.yaml:4\n"
        "  hint: Give each a unique name: reports and thresholds identify endpoints by name",
    ),
    "unknown engine": (
        URL + "engine: nativ\n",
        'error: engine must be auto, native or asyncio, not "nativ" [unknown_choice]\n'
        "  at: engine, shop.yaml:3\n"
        "  hint: Did you mean `native`?",
    ),
    "status code": (
        URL + "expected_status_codes: [200, 6xx]\n",
        'error: "6xx" is not a status code, class or range [bad_status]\n'
        "  at: expected_status_codes[1], shop.yaml:3\n"
        '  hint: Write a code (204), a class ("2xx") or a range ("200-204")',
    ),
    "method": (
        URL + "method: G ET\n",
        'error: "G ET" is not an HTTP method [bad_method]\n'
        "  at: method, shop.yaml:3\n"
        "  hint: A method is one word: GET, POST, PUT, PATCH, DELETE",
    ),
    "CONNECT": (
        URL + "method: CONNECT\n",
        "error: CONNECT opens a tunnel and is not an API request [bad_method]\n"
        "  at: method, shop.yaml:3\n"
        "  hint: Use `proxy` to send requests through a proxy",
    ),
    "header name": (
        URL + 'headers: {"X A": b}\n',
        'error: "X A" is not a valid header name [bad_header]\n'
        "  at: headers.X A, shop.yaml:3\n"
        "  hint: Names have letters, digits and hyphens",
    ),
    "line feed in a header": (
        URL + 'headers: {X-A: "a\\nb"}\n',
        "error: the header X-A holds a line feed, which would end the header [bad_header]\n"
        "  at: headers.X-A, shop.yaml:3\n"
        "  hint: A header is one line",
    ),
    "carriage return from the environment": (
        URL + 'headers: {X-A: "{{env:BROKEN}}"}\n',
        "error: the header X-A holds a carriage return, which would end the header [bad_header]\n"
        "  at: headers.X-A, shop.yaml:3\n"
        "  hint: A header is one line",
    ),
    "content-length": (
        URL + "headers: {content-length: 5}\n",
        "error: content-length is set by the engine, from the body [bad_header]\n"
        "  at: headers.content-length, shop.yaml:3\n"
        "  hint: Leave it out",
    ),
    "header twice": (
        URL + "headers: {X-A: 1, x-a: 2}\n",
        'error: the header "x-a" is given twice, also as "X-A" [conflict]\n'
        "  at: headers.x-a, shop.yaml:3\n"
        "  hint: Keep one of them",
    ),
    "auth beside its header": (
        URL + "headers: {Authorization: x}\nauth: {type: bearer_token, token: y}\n",
        "error: both auth and the header Authorization set this request's credentials [conflict]\n"
        "  at: headers.Authorization, shop.yaml:3\n"
        "  hint: Keep one of them",
    ),
    "auth of no type": (
        URL + "auth: {token: y}\n",
        "error: auth needs a field type [missing_field]\n"
        "  at: auth.type, shop.yaml:3\n"
        "  hint: One of none, bearer_token, api_key, basic, oauth2_client_credentials, oauth2_password_grant, jwt",
    ),
    "auth without its token": (
        URL + "auth: {type: bearer_token}\n",
        "error: auth needs a field token [missing_field]\n"
        "  at: auth.token, shop.yaml:3\n"
        "  hint: Add `token: {{env:TOKEN}}`",
    ),
    "credential that varies": (
        URL + 'auth: {type: bearer_token, token: "{{uuid}}"}\n',
        "error: {{uuid}} differs per request, which a credential must not [not_fixed]\n"
        "  at: auth.token, shop.yaml:3\n"
        "  hint: Use a variable, {{env:NAME}} or plain text here",
    ),
    "token server": (
        URL + "auth: {type: oauth2_client_credentials, token_url: login/x, client_id: a, client_secret: b}\n",
        'error: the URL "login/x" has no scheme [bad_url]\n'
        "  at: auth.token_url, shop.yaml:3\n"
        '  hint: Write "http://login/x"',
    ),
    "token server left out": (
        URL + "auth: {type: oauth2_client_credentials, client_id: a, client_secret: b}\n",
        "error: auth needs a field token_url [missing_field]\n"
        "  at: auth.token_url, shop.yaml:3\n"
        "  hint: Add `token_url: https://login.example.com/oauth/token`",
    ),
    "regular expression": (
        URL + 'expect_body: {regex: "a("}\n',
        'error: "a(" is not a valid regular expression: missing ): a( [bad_regex]\n'
        "  at: expect_body.regex, shop.yaml:3\n"
        "  hint: For a literal text write `contains` instead",
    ),
    "look-around": (
        URL + 'expect_body: {regex: "a(?=b)"}\n',
        'error: "a(?=b)" uses (?=; look-around and back-references are not supported [bad_regex]\n'
        "  at: expect_body.regex, shop.yaml:3\n"
        "  hint: Use two checks, or a plain `contains`",
    ),
    "nothing to look for": (
        URL + "expect_body: {}\n",
        "error: expect_body sets no condition [missing_field]\n"
        "  at: expect_body, shop.yaml:3\n"
        "  hint: Add `contains: …` or `regex: …`",
    ),
    "load and requests_per_second": (
        URL + "requests_per_second: 5\nload: {rate: 5}\n",
        "error: load and requests_per_second are alternatives [conflict]\n"
        "  at: requests_per_second, shop.yaml:3\n"
        "  hint: Move it into load as `rate`",
    ),
    "load and concurrency": (
        URL + "concurrency: 5\nload: {rate: 5}\n",
        "error: load and concurrency are alternatives [conflict]\n"
        "  at: concurrency, shop.yaml:3\n"
        "  hint: Move it into load as `users` or `max_in_flight`",
    ),
    "rate of users": (
        URL + "load: {model: closed, rate: 5}\n",
        "error: rate belongs to the open model, and this load is closed [conflict]\n"
        "  at: load.rate, shop.yaml:3\n"
        "  hint: Remove it, or set `model: open`",
    ),
    "stages of no model": (
        URL + "load: {stages: [{duration: 5s, target: 5}]}\n",
        "error: load has stages but no model: their targets could be users or arrivals per second "
        "[missing_field]\n"
        "  at: load, shop.yaml:3\n"
        "  hint: Add `model: open` (arrivals per second) or `model: closed` (users)",
    ),
    "stages and a rate": (
        URL + "load: {rate: 5, stages: [{duration: 5s, target: 5}]}\n",
        "error: load has both rate and stages [conflict]\n"
        "  at: load.rate, shop.yaml:3\n"
        "  hint: Keep one; stages begin at `start`, so `start: …` for `rate`",
    ),
    "start without stages": (
        URL + "load: {rate: 5, start: 1}\n",
        "error: start is the level at which stages begin, and there are none; a constant level is rate [conflict]\n"
        "  at: load.start, shop.yaml:3\n"
        "  hint: Write `rate` instead, or add stages",
    ),
    "open without a rate": (
        URL + "load: {model: open}\n",
        "error: an open load needs a rate or stages [missing_field]\n"
        "  at: load, shop.yaml:3\n"
        "  hint: Add `rate: 50` (arrivals per second)",
    ),
    "stages of nothing": (
        URL + "load: {model: open, stages: [{duration: 5s, target: 0}]}\n",
        "error: no stage has a target above 0 [no_load]\n"
        "  at: load.stages, shop.yaml:3\n"
        "  hint: Add `target: 10` to one of them",
    ),
    "stage without a target": (
        URL + "load: {model: open, stages: [{duration: 5s}]}\n",
        "error: load.stages[0] needs a field target [missing_field]\n"
        "  at: load.stages[0].target, shop.yaml:3\n"
        "  hint: Add `target: 100`",
    ),
    "threshold on an endpoint that is not there": (
        "name: a\nthresholds: ['chekout: p99 < 1s']\nendpoints: [{name: checkout, url: http://h/}]\n",
        'error: the threshold "chekout: p99 < 1s" names an endpoint "chekout", '
        "which does not exist [unknown_endpoint]\n"
        "  at: thresholds.expressions[0], shop.yaml:2\n"
        '  hint: Did you mean "checkout"?',
    ),
    "threshold limit below zero": (
        URL + "thresholds: {max_latency_p95_ms: -3}\n",
        "error: max_latency_p95_ms must be more than 0, not -3 [out_of_range]\n"
        "  at: thresholds.max_latency_p95_ms, shop.yaml:3",
    ),
    "connect_to": (
        URL + "connect_to: [a:b]\n",
        'error: "a:b" is not HOST:PORT:OTHER_HOST:OTHER_PORT [bad_connect_to]\n'
        "  at: connect_to[0], shop.yaml:3\n"
        "  hint: For example `api.example.com:443:10.0.0.5:8443`",
    ),
    "source address": (
        URL + "source_addresses: [eth0]\n",
        'error: "eth0" is not an IP address [bad_address]\n'
        "  at: source_addresses[0], shop.yaml:3\n"
        "  hint: For example 10.0.0.7",
    ),
    "streams of HTTP/1.1": (
        URL + "streams_per_connection: 5\n",
        "error: streams_per_connection applies to HTTP/2 only, and http_version is 1.1 [conflict]\n"
        "  at: streams_per_connection, shop.yaml:3\n"
        '  hint: Add `http_version: "2"`, or leave it out',
    ),
    "proxy without a scheme": (
        URL + "proxy: proxy.local:3128\n",
        'error: the URL "proxy.local:3128" has no scheme [bad_url]\n'
        "  at: proxy, shop.yaml:3\n"
        '  hint: Write "http://proxy.local:3128"',
    ),
    "key without a certificate": (
        URL + "tls: {key: client.key}\n",
        "error: a client key needs a certificate [missing_field]\n"
        "  at: tls.key, shop.yaml:3\n"
        "  hint: Add `tls: {cert: client.pem}`",
    ),
    "file that may not be read": (
        URL + "tls: {ca: ca.pem}\n",
        'error: the file "ca.pem" cannot be used here: a server reads no files of its own for a spec '
        "[file_not_allowed]\n"
        "  at: tls.ca, shop.yaml:3\n"
        "  hint: Leave it out, or run it on the command line",
    ),
    "endpoint that is no object": (
        "name: a\nendpoints: [http://h/]\n",
        'error: endpoints[0] must be an object, not "http://h/" [not_an_object]\n  at: endpoints[0], shop.yaml:2',
    ),
    "list for text": (
        "name: a\nurl: [http://h/]\n",
        "error: url must be text, not a list [wrong_type]\n  at: url, shop.yaml:2",
    ),
    "long name": (
        f"name: {'a' * 300}\nurl: http://h/\n",
        "error: name must have 1 to 256 characters, not 300 [wrong_length]\n  at: name, shop.yaml:1",
    ),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES.keys())
def test_a_problem_says_what_where_and_what_to_do(text: str, message: str) -> None:
    assert message in error_text(text)


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES.keys())
def test_one_mistake_is_one_problem(text: str, message: str) -> None:
    assert error_text(text).count("error:") <= (2 if "key without" in message or "client key" in message else 1)


def test_every_problem_is_reported_at_once() -> None:
    text = (
        "name: ''\n"
        "url: localhost\n"
        "methd: GET\n"
        "headers: {X-A: '{{nope}}'}\n"
        "auth: {type: basic, username: a, password: '{{env:NOPE}}'}\n"
        "total_requests: x\n"
        "load: {rate: 0}\n"
        "thresholds: ['p99 < ', 'error_rate < 5']\n"
    )
    codes = [line.rpartition("[")[2].rstrip("]") for line in error_text(text).splitlines() if line.startswith("error:")]
    assert sorted(codes) == sorted(
        [
            "wrong_length",
            "bad_url",
            "unknown_field",
            "unknown_variable",
            "env_not_set",
            "wrong_type",
            "out_of_range",
            "bad_threshold",
            "bad_threshold",
        ]
    )


def test_the_api_may_refuse_environment_variables() -> None:
    with pytest.raises(SpecError) as error:
        compile_plan(
            {"name": "a", "url": "http://h/", "headers": {"X-A": "{{env:TOKEN}}"}},
            ENVIRONMENT,
            may_read="REGION".__eq__,
        )
    assert str(error.value) == (
        "error: {{env:TOKEN}} is not allowed on this server [env_not_allowed]\n"
        "  at: headers.X-A character 1\n"
        "  hint: Add TOKEN to ATM_ENV_ALLOW on the server, or put the value into the spec"
    )


def test_tls_files_that_cannot_be_used_are_named() -> None:
    files = {"ca.pem": b"\x30\x82\xff", "client.pem": b"-----BEGIN CERTIFICATE-----\n"}

    def read(name: str) -> bytes:
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory", name)
        return files[name]

    spec = {"name": "a", "url": "https://h/", "tls": {"ca": "ca.pem", "cert": "client.pem", "key": "gone.key"}}
    with pytest.raises(SpecError) as error:
        compile_plan(spec, {}, read_tls_file=read)
    assert [problem.what for problem in error.value.problems] == [
        'the file "ca.pem" holds no certificate in PEM form',
        'the file "gone.key" cannot be read: No such file or directory',
    ]
