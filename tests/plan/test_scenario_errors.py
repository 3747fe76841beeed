"""Every problem that the scenarios of a spec can have, by the words that a person sees."""

from __future__ import annotations

import pytest

from tests.plan.test_compile_errors import error_text

TOP = "name: a\nbase_url: http://127.0.0.1\nscenarios:\n  s:\n    steps:\n"


def steps(*lines: str, top: str = TOP) -> str:
    """Return a spec with these lines as the steps of its scenario; they begin at line 6."""
    return top + "".join(f"      {line}\n" for line in lines)


HOOKS = "name: a\nbase_url: http://127.0.0.1\nurl: /x\n"

CASES = {
    "a setup that sends nothing": (
        HOOKS + "setup:\n  - think: 1s\n",
        "error: setup has no step that sends a request [no_request]\n"
        "  at: setup, shop.yaml:4\n"
        "  hint: Add one: `- GET: /users`",
    ),
    "a step of setup with two actions": (
        HOOKS + "setup:\n  - {GET: /x, think: 2s}\n",
        "error: a step has one action, and this one has GET and think [several_actions]\n"
        "  at: setup[0], shop.yaml:5\n"
        "  hint: Make each a step of its own: a line that begins with `- `",
    ),
    "a header of the spec that setup cannot send yet": (
        HOOKS + 'headers: {X-Key: "{{key}}"}\nsetup:\n  - {GET: /key, extract: {key: $.key}}\n',
        "error: {{key}} is used in the request at setup[0] before it can be set: setup[0] extracts it "
        "[used_before_set]\n"
        "  at: headers.X-Key character 1, shop.yaml:4\n"
        "  hint: Move the step that extracts it before this one, or leave the header out of this request: "
        "`headers: {NAME: null}`",
    ),
    "a scenario that extracts what setup does": (
        steps("- {GET: /x, extract: {key: $.key}}") + "setup:\n  - {GET: /key, extract: {key: $.key}}\n",
        'error: "key" is extracted here and also a value of setup [duplicate_name]\n'
        "  at: scenarios.s.steps[0].extract.key, shop.yaml:6\n"
        "  hint: Give one of them another name",
    ),
    "a host from setup": (
        HOOKS.replace("/x", '"http://{{host}}/"') + "setup:\n  - {GET: /key, extract: {host: $.host}}\n",
        "error: {{host}} differs per request, which the host of a URL must not [varying_host]\n"
        "  at: url, shop.yaml:3\n"
        "  hint: Use one endpoint per host, or put the variable after the first slash",
    ),
    "test data in teardown": (
        steps("- GET: /{{rows.id}}") + "data: {rows: {rows: [{id: 1}]}}\nteardown:\n  - GET: /{{rows.id}}\n",
        'error: the rows of "rows" belong to the users and iterations of scenarios, and here is none [no_test_data]\n'
        "  at: teardown[0].GET character 18, shop.yaml:9\n"
        "  hint: Put the value into `variables`",
    ),
    "a step without an action, with the nearest one": (
        steps("- get: /x"),
        "error: this step has no action, only get [no_action]\n"
        "  at: scenarios.s.steps[0], shop.yaml:6\n"
        "  hint: Did you mean `GET`? "
        "A step has one of: GET, POST, …, url, think, repeat, while, when, choose, use, call",
    ),
    "a step with two actions": (
        steps("- {GET: /x, think: 2s}"),
        "error: a step has one action, and this one has GET and think [several_actions]\n"
        "  at: scenarios.s.steps[0], shop.yaml:6\n"
        "  hint: Make each a step of its own: a line that begins with `- `",
    ),
    "a step that is a text": (
        steps("- login"),
        'error: a step must be an object, not "login" [not_an_object]\n'
        "  at: scenarios.s.steps[0], shop.yaml:6\n"
        "  hint: Write an action: `GET: /users`, `think: 2s`, `repeat: 3`",
    ),
    "a step after one that cannot be read, at its own place": (
        steps("- {GET: /x, think: 2s}", "- {GET: nowhere}"),
        "error: a step has one action, and this one has GET and think [several_actions]\n"
        "  at: scenarios.s.steps[0], shop.yaml:6\n"
        "  hint: Make each a step of its own: a line that begins with `- `\n"
        'error: the URL "nowhere" has no scheme [bad_url]\n'
        "  at: scenarios.s.steps[1].GET, shop.yaml:7\n"
        '  hint: Write "http://nowhere"',
    ),
    "an unknown key of a step": (
        steps("- GET: /x", "  cheks: [status == 200]"),
        'error: unknown field "cheks" [unknown_field]\n'
        "  at: scenarios.s.steps[0].cheks, shop.yaml:7\n"
        "  hint: Did you mean `checks`? `atm schema` lists every field",
    ),
    "a method that contradicts the short form": (
        steps("- {GET: /x, method: POST}"),
        "error: GET and method: POST contradict each other [conflict]\n"
        "  at: scenarios.s.steps[0].method, shop.yaml:6\n"
        "  hint: Remove `method`, or write `url` instead of `GET`",
    ),
    "a relative URL without a base": (
        steps("- GET: /x").replace("base_url: http://127.0.0.1\n", ""),
        'error: the URL "/x" begins with a slash, and the spec has no base_url [bad_url]\n'
        "  at: scenarios.s.steps[0].GET, shop.yaml:5\n"
        "  hint: Add `base_url: https://api.example.com` at the top level of the spec",
    ),
    "url and scenarios": (
        "url: http://127.0.0.1/\n" + steps("- GET: /x"),
        "error: the spec has both url and scenarios [url_and_scenarios]\n"
        "  at: scenarios, shop.yaml:4\n"
        "  hint: Turn url into steps, or remove it",
    ),
    "no scenario": (
        "name: a\nscenarios: {}\n",
        "error: the spec has no scenario [no_scenario]\n"
        "  at: scenarios, shop.yaml:2\n"
        "  hint: Add one: `browse: {steps: [..]}`",
    ),
    "thresholds of a scenario that cannot be compiled": (
        steps("- use: login") + "    thresholds: [p95 < 3s]\n",
        'error: there is no block "login" [unknown_block]\n'
        "  at: scenarios.s.steps[0].use, shop.yaml:6\n"
        "  hint: Blocks: none",
    ),
    "a scenario that sends nothing": (
        steps("- think: 2s"),
        'error: the scenario "s" has no step that sends a request [no_request]\n'
        "  at: scenarios.s.steps, shop.yaml:5\n"
        "  hint: Add one: `- GET: /users`",
    ),
    "a template without quotes": (
        steps("- GET: {{base}}/x"),
        "error: {{base}}/x is not in quotes, and YAML reads a value that begins with { as a map [unquoted_template]\n"
        "  at: shop.yaml:6:14\n"
        '  hint: Write "{{base}}/x"',
    ),
    "a template without quotes in a body": (
        steps("- {POST: /x, json: {id: {{uuid}}, n: 2}}"),
        "error: {{uuid}} is not in quotes, and YAML reads a value that begins with { as a map [unquoted_template]\n"
        "  at: shop.yaml:6:31\n"
        '  hint: Write "{{uuid}}"',
    ),
    "a template without quotes inside braces": (
        steps("- {GET: /x/{{uuid}}, name: b}"),
        "error: /x/{{uuid}} is not in quotes, and inside { } and [ ] YAML reads its braces as a map "
        "[unquoted_template]\n"
        "  at: shop.yaml:6:15\n"
        '  hint: Write "/x/{{uuid}}"',
    ),
    "a condition with brackets without quotes": (
        steps("- {GET: /x, checks: [status in [200, 404]]}"),
        "error: invalid YAML: did not find expected ',' or ']' [bad_yaml]\n"
        "  at: shop.yaml:6\n"
        '  hint: Quote a condition that holds brackets: `checks: ["status in [200, 404]"]`',
    ),
    "a JSONPath inside braces without quotes, after a template that needs none": (
        steps("- GET: /x/{{uuid}}", "  extract: {id: $.items[0].id}"),
        "error: invalid YAML: did not find expected ',' or '}' [bad_yaml]\n"
        "  at: shop.yaml:7\n"
        '  hint: Quote a JSONPath inside braces: `{id: "$.items[0].id"}`',
    ),
    "an unknown variable": (
        steps("- {GET: /x, extract: {product: $.id}}", "- GET: /x/{{prodct}}"),
        "error: {{prodct}} is not defined [unknown_variable]\n"
        "  at: scenarios.s.steps[1].GET character 20, shop.yaml:7\n"
        "  hint: Did you mean {{product}}? "
        "Defined: product, user, iteration, uuid, timestamp, timestamp_unix, random_int",
    ),
    "the request number": (
        steps("- GET: /x/{{request_number}}"),
        "error: {{request_number}} is not defined in a scenario, whose requests have no order over all users "
        "[no_request_number]\n"
        "  at: scenarios.s.steps[0].GET character 20, shop.yaml:6\n"
        "  hint: Use {{iteration}}: the number of the iteration, from 1",
    ),
    "an extract that moves a request to another host": (
        steps("- {GET: /x, extract: {host: $.host}}", '- GET: "http://{{host}}/x"'),
        "error: {{host}} differs per request, which the host of a URL must not [varying_host]\n"
        "  at: scenarios.s.steps[1].GET, shop.yaml:7\n"
        "  hint: Use one endpoint per host, or put the variable after the first slash",
    ),
    "an extract used before it can be set": (
        "load: {rate: 5}\n" + steps("- GET: /x/{{id}}", "- {GET: /y, extract: {id: $.id}}"),
        "error: {{id}} is used before it can be set: scenarios.s.steps[1] extracts it [used_before_set]\n"
        "  at: scenarios.s.steps[0].GET character 20, shop.yaml:7\n"
        "  hint: Move the step that extracts it before this one",
    ),
    "a header of the scenario that a step cannot have yet": (
        "load: {rate: 5}\n"
        + steps("- {POST: /login, extract: {jwt: $.jwt}}", "- GET: /y").replace(
            "    steps:", '    headers: {Authorization: "Bearer {{jwt}}"}\n    steps:'
        ),
        "error: {{jwt}} is used in the request at scenarios.s.steps[0] before it can be set: "
        "scenarios.s.steps[0] extracts it [used_before_set]\n"
        "  at: scenarios.s.headers.Authorization character 8, shop.yaml:6\n"
        "  hint: Move the step that extracts it before this one, or leave the header out of this request: "
        "`headers: {NAME: null}`",
    ),
    "an extract with the name of a variable": (
        "variables: {id: 5}\n" + steps("- {GET: /x, extract: {id: $.id}}"),
        'error: "id" is extracted here and also one of the variables of the spec [duplicate_name]\n'
        "  at: scenarios.s.steps[0].extract.id, shop.yaml:7\n"
        "  hint: Give one of them another name",
    ),
    "an extract without a source": (
        steps("- {GET: /x, extract: {id: json.id}}"),
        'error: the extract "json.id" begins with no source: $…, header, cookie, regex, status or body '
        "[bad_extract]\n"
        "  at: scenarios.s.steps[0].extract.id character 1, shop.yaml:6\n"
        "  hint: Examples: `$.items[*].id | random`, `header Location`, `cookie session`, "
        '`regex "id=([0-9]+)"`, `status`',
    ),
    "an extract with two sources": (
        steps("- {GET: /x, extract: {id: {json: $.id, header: X-Id}}}"),
        "error: an extract has one source, and this one has json and header [bad_extract]\n"
        "  at: scenarios.s.steps[0].extract.id, shop.yaml:6\n"
        "  hint: Keep one of: json, header, cookie, regex, status, body",
    ),
    "an unknown word after the bar": (
        steps('- {GET: /x, extract: {id: "$.id | rando"}}'),
        'error: the extract "$.id | rando" has "rando" after | [bad_extract]\n'
        "  at: scenarios.s.steps[0].extract.id character 7, shop.yaml:6\n"
        "  hint: After | comes one of: first, last, random, all, count, default VALUE",
    ),
    "a regular expression with look-around": (
        steps("- {GET: /x, extract: {id: 'regex \"(?=x)\"'}}"),
        'error: "(?=x)" uses (?=; look-around and back-references are not supported [bad_regex]\n'
        "  at: scenarios.s.steps[0].extract.id character 7, shop.yaml:6\n"
        "  hint: Use two checks, or a plain `contains`",
    ),
    "a condition that reads a response": (
        steps("- GET: /x", "- {when: status == 200, steps: [{GET: /y}]}"),
        'error: the condition "status == 200" reads status of a response, which only checks can: '
        "a variable has to hold it [response_outside_check]\n"
        "  at: scenarios.s.steps[1].when character 1, shop.yaml:7\n"
        "  hint: Extract it first, in the step that gets it: `extract: {status: status}`, and write `status` here",
    ),
    "a loop without an end": (
        steps("- {while: iteration > 0, steps: [{GET: /y}]}"),
        "error: scenarios.s.steps[0] needs a field at_most [missing_field]\n"
        "  at: scenarios.s.steps[0].at_most, shop.yaml:6\n"
        "  hint: Add `at_most: 20`",
    ),
    "a think time without a unit that exists": (
        steps("- think: 2 weeks", "- GET: /x"),
        'error: think: "2 weeks" is not a duration [bad_think]\n'
        "  at: scenarios.s.steps[0].think, shop.yaml:6\n"
        "  hint: Write `2s`, `1s..4s`, `exp(3s)` or `normal(3s, 1s)`",
    ),
    "a think time that ends before it begins": (
        steps("- think: 4s..1s", "- GET: /x"),
        "error: think: 4s..1s ends before it begins [bad_think]\n"
        "  at: scenarios.s.steps[0].think, shop.yaml:6\n"
        "  hint: Write `1s..4s`",
    ),
    "two steps of one name": (
        steps("- {GET: /x, name: b}", "- {GET: /y, name: b}"),
        'error: two steps are called "s/b" [duplicate_name]\n'
        "  at: scenarios.s.steps[1].name, shop.yaml:7\n"
        "  hint: Give each a unique name: reports and thresholds identify steps by name",
    ),
    "two checks of one name": (
        steps("- {GET: /x, checks: [status == 200, status == 200]}"),
        'error: two checks of this request are called "status == 200" [duplicate_name]\n'
        "  at: scenarios.s.steps[0].checks[1], shop.yaml:6\n"
        "  hint: Give one of them another name, or remove it",
    ),
    "a name that no scenario can have": (
        TOP.replace("  s:", "  a/b:") + "      - GET: /x\n",
        'error: "a/b" cannot name a scenario [bad_name]\n'
        "  at: scenarios.a/b, shop.yaml:4\n"
        "  hint: Use up to 60 letters, digits, spaces, dots, hyphens and underscores",
    ),
    "a name that no variable can have": (
        steps("- {GET: /x, extract: {order-id: $.id}}"),
        'error: "order-id" cannot name a variable [bad_name]\n'
        "  at: scenarios.s.steps[0].extract.order-id, shop.yaml:6\n"
        "  hint: Use letters, digits and underscores: `order_id`",
    ),
    "a block that does not exist": (
        "blocks: {login: [{GET: /l}]}\n" + steps("- use: logn", "- use: login"),
        'error: there is no block "logn" [unknown_block]\n'
        "  at: scenarios.s.steps[0].use, shop.yaml:7\n"
        "  hint: Did you mean `login`? Blocks: login",
    ),
    "a block that uses itself": (
        "blocks: {a: [{use: b}], b: [{use: a}]}\n" + steps("- use: a"),
        'error: the block "a" uses "b" uses "a": it never ends [endless_block]\n'
        "  at: blocks.b[0].use, shop.yaml:1\n"
        "  hint: Use `repeat` or `while`",
    ),
    "a pace in an open load": (
        "load: {rate: 5}\n" + steps("- GET: /x").replace("    steps:", "    pace: 30s\n    steps:"),
        "error: pace belongs to a closed load, and this load is open: its rate decides when iterations start "
        "[conflict]\n"
        "  at: scenarios.s.pace, shop.yaml:6\n"
        "  hint: Remove it, or give the load `users`",
    ),
    "two bodies": (
        steps("- {POST: /x, json: {a: 1}, form: {b: 2}}"),
        "error: a request has one body, and this one has json and form [conflict]\n"
        "  at: scenarios.s.steps[0].form, shop.yaml:6\n"
        "  hint: Keep one of: body, json, form, multipart, graphql, file",
    ),
    "an unknown filter": (
        steps("- GET: /x/{{iteration|base46}}"),
        'error: "base46" is not a filter [unknown_filter]\n'
        "  at: scenarios.s.steps[0].GET character 20, shop.yaml:6\n"
        "  hint: Did you mean `base64`? "
        "Filters: base64, base64url, sha256, hmac_sha256, url, lower, upper, json, raw",
    ),
    "an unknown function": (
        steps("- GET: /x/{{randint(1,6)}}"),
        'error: "randint" is not a function [unknown_function]\n'
        "  at: scenarios.s.steps[0].GET character 20, shop.yaml:6\n"
        "  hint: Did you mean `random_int(1, 6)`? Functions: random_int, random_string, random_choice, now",
    ),
    "a function with wrong arguments": (
        steps("- GET: /x/{{random_int(6,1)}}"),
        "error: random_int(6, 1): random_int takes two whole numbers, the smaller first [bad_arguments]\n"
        "  at: scenarios.s.steps[0].GET character 20, shop.yaml:6\n"
        "  hint: For example {{random_int(1, 6)}}",
    ),
}

CONDITIONS = {
    "status = 200": ('compares with "="', 8, "Write `==`"),
    "status == 2xx": ('compares status with "2xx"', 11, "Write `status >= 200 and status < 300`"),
    "status == ok": (
        'compares status with "ok"',
        11,
        "Write a status code: `status == 200`, `status in [200, 404]`, `status < 400`",
    ),
    "time < 500": ("compares time with 500, which has no unit", 8, "Write `500ms` or another duration"),
    "size < 1 mb": ('continues with "mb" after its end', 10, "Join conditions with `and` or `or`; quote a text"),
    "size < big": ('compares size with "big"', 8, "Write bytes, or a unit: `1500`, `100kb`, `1mb`, `64kib`"),
    "status == 200 && time < 1s": ('has "&&"', 15, "Write `and`"),
    "(status == 200": ("has a parenthesis that is never closed", 1, "Close it with )"),
    "status in 200": ("has no list after `in`", 11, "Write `in [200, 404]`"),
    "status in [200": ("has a list that is never closed", 11, "Close it with ]"),
    "body matches ord": ("needs a regular expression here", 14, 'Write it as /…/ or "…": `/^ord-[0-9]+$/`'),
    "header": ("needs the name of a header", 7, "Write `header content-type`"),
    "$.n < 5s": (
        'compares with "5s", which is not a number',
        7,
        "Only `time` is compared with a duration, and only `size` with a size",
    ),
    "$.a == page": (
        "compares with page, which is a text here and also a variable",
        8,
        'Write `{{page}}` for the variable, or `"page"` for the text',
    ),
    "status": (
        "compares with nothing",
        7,
        "Use ==, !=, <, <=, >, >=, in [..], contains, matches /../, exists or missing",
    ),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES)
def test_a_problem_has_message_place_and_hint(text: str, message: str) -> None:
    assert error_text(text) == message


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_that_cannot_be_read_names_the_character(condition: str) -> None:
    what, character, hint = CONDITIONS[condition]
    text = "variables: {page: 1}\n" + steps(f"- {{GET: /x, checks: ['{condition}']}}")
    assert error_text(text) == (
        f'error: the check "{condition}" {what} [bad_condition]\n'
        f"  at: scenarios.s.steps[0].checks[0] character {character}, shop.yaml:7\n"
        f"  hint: {hint}"
    )


def test_all_problems_are_reported_at_once() -> None:
    text = steps(
        "- {GET: /a/{{nope}}, checks: [status = 1]}".replace("/a/{{nope}}", '"/a/{{nope}}"'),
        "- {think: soon}",
        "- {when: status == 1, steps: [{use: b}]}",
    )
    codes = [line.rpartition("[")[2] for line in error_text(text).splitlines() if line.startswith("error: ")]
    assert codes == ["unknown_variable]", "bad_condition]", "bad_think]", "response_outside_check]", "unknown_block]"]


def test_blocks_cannot_expand_a_small_spec_to_a_huge_program() -> None:
    blocks = "".join(f"  b{number}: [{{use: b{number + 1}}}, {{use: b{number + 1}}}]\n" for number in range(20))
    text = f"blocks:\n{blocks}  b20: [{{GET: /x}}]\n" + steps("- use: b0")
    assert error_text(text).startswith('error: the scenario "s" has more than 10,000 steps, its blocks included')


def test_more_than_a_thousand_names_are_a_problem() -> None:
    text = steps(*(f"- {{GET: /x, name: n{number}}}" for number in range(1001)))
    assert error_text(text) == (
        "error: the spec has 1,001 names of steps and checks; the maximum is 1,000 [too_many_names]\n"
        "  at: scenarios, shop.yaml:3\n"
        "  hint: Give steps that belong together one name in a block"
    )
