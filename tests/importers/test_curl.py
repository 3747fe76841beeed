"""curl commands as specs: what is sent is what curl would send, and whatever is left out is said."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from atm.errors import SpecError
from atm.importers.curl import import_curl
from atm.importers.curl_effects import EFFECTS, QUIET, WHY
from atm.importers.curl_manual import FLAGS, SHORT, WITH_VALUE
from atm.models.spec import TestSpec

U = "http://127.0.0.1:8080"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def spec_of(command: str) -> dict[str, Any]:
    """The spec without its name, which reads as a spec."""
    imported = import_curl(command)
    TestSpec.from_data(imported.spec)
    return {name: value for name, value in imported.spec.items() if name != "name"}


def notes_of(command: str) -> str:
    return "\n".join(import_curl(command).notes)


def code_of(command: str) -> str:
    with pytest.raises(SpecError) as caught:
        import_curl(command)
    assert all(problem.path == "command" for problem in caught.value.problems)
    return caught.value.problems[0].code


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"curl {U}/a", {"url": f"{U}/a"}),
        ("curl example.com", {"url": "http://example.com"}),
        ("curl --proto-default https example.com", {"url": "https://example.com"}),
        (f"$ curl -sSL {U}", {"url": U, "redirects": 50}),
        (f"sudo curl -k {U}", {"url": U, "tls": {"insecure": True}}),
        (f"curl -XDELETE {U}", {"url": U, "method": "DELETE"}),
        (f"curl -I {U}", {"url": U, "method": "HEAD"}),
        (f"curl -m 2.5 {U}", {"url": U, "timeout": 2.5}),
        (f"curl --max-time 0 {U}", {"url": U}),
        (f"curl -G -d a=1 --data-urlencode 'b=c d' {U}", {"url": f"{U}?a=1&b=c+d"}),
        (f"curl --url-query 'q=a b' --url-query +raw=%20 {U}", {"url": f"{U}?q=a+b&raw=%20"}),
        (f"curl -u me:pass:word {U}", {"url": U, "auth": {"type": "basic", "username": "me", "password": "pass:word"}}),
        (
            "curl 'http://me:p%40ss@127.0.0.1:8080/a'",
            {"url": f"{U}/a", "auth": {"type": "basic", "username": "me", "password": "p@ss"}},
        ),
        (f"curl --oauth2-bearer abc {U}", {"url": U, "auth": {"type": "bearer_token", "token": "abc"}}),
        (f"curl -H 'X-A: 1' -H 'X-B:' {U}", {"url": U, "headers": {"X-A": "1", "X-B": None}}),
        (f"curl -H 'X-A: 1' -H 'x-a: 2' {U}", {"url": U, "headers": {"X-A": ["1", "2"]}}),
        (f"curl -H 'X-Empty;' {U}", {"url": U, "headers": {"X-Empty": ""}}),
        (f"curl -b a=1 -b 'b=2' {U}", {"url": U, "headers": {"Cookie": "a=1; b=2"}}),
        (f"curl --compressed {U}", {"url": U, "headers": {"Accept-Encoding": "gzip, deflate"}}),
        (f"curl -g '{U}/[1-2]'", {"url": f"{U}/[1-2]"}),
        ("curl 'http://[::1]:8080/a'", {"url": "http://[::1]:8080/a"}),
        (f"curl -x 127.0.0.1:3128 -U me:p@ss {U}", {"url": U, "proxy": "http://me:p%40ss@127.0.0.1:3128"}),
        (f"curl --resolve a.test:80:127.0.0.1 {U}", {"url": U, "connect_to": ["a.test:80:127.0.0.1:80"]}),
        (f"curl --resolve a.test:80:[::1] {U}", {"url": U, "connect_to": ["a.test:80:[::1]:80"]}),
        (f"curl --interface 127.0.0.2 {U}", {"url": U, "source_addresses": ["127.0.0.2"]}),
        (f"curl --http2 {U}", {"url": U, "http_version": "auto"}),
        (f"curl -e 'http://a/;auto' {U}", {"url": U, "headers": {"Referer": "http://a/"}}),
        (f"curl --cert 'C:\\a.pem:secret' --key k.pem {U}", {"url": U, "tls": {"cert": "C:\\a.pem", "key": "k.pem"}}),
        (f"curl --head --no-head {U}", {"url": U}),
        (f"curl --insecur {U}", {"url": U, "tls": {"insecure": True}}),
        (f"curl -sXPUT -dx {U}", {"url": U, "method": "PUT", "body": "x", "headers": FORM}),
        (f"curl -d a=1 -d b=2 {U}", {"url": U, "method": "POST", "body": "a=1&b=2", "headers": FORM}),
        (f"curl -d a=1 -H 'Content-Type:' {U}", {"url": U, "method": "POST", "body": "a=1"}),
        (f"curl -d '{{{{x}}}}' {U}", {"url": U, "method": "POST", "body": r"\{{x}}", "headers": FORM}),
        (
            f"curl --json '{{\"a\": 1}}' {U}",
            {
                "url": U,
                "method": "POST",
                "body": '{"a": 1}',
                "headers": {"Accept": "application/json", "Content-Type": "application/json"},
            },
        ),
    ],
)
def test_an_option_becomes_what_curl_sends(command: str, expected: dict[str, Any]) -> None:
    assert spec_of(command) == expected


def test_a_value_is_taken_whatever_it_begins_with() -> None:
    # `--socks5-hostname 127.0.0.1:1` made the proxy the target before the table was complete.
    for option in sorted(
        WITH_VALUE - {"url", "next", "upload-file", "config", "cookie", "request", "max-time", "max-redirs", "form"}
    ):
        assert spec_of(f"curl --{option} name=value {U}/right").get("url", "").startswith(f"{U}/right"), option


def test_every_option_that_is_handled_is_one_of_curl() -> None:
    every = WITH_VALUE | FLAGS
    named = {name.removeprefix("no-") if name not in every else name for name in (*EFFECTS, *QUIET, *WHY)}
    assert named - every <= {"buffer", "clobber", "progress-meter"}
    assert set(SHORT.values()) <= every


@pytest.mark.parametrize("scheme", ["--digest", "--ntlm", "--negotiate", "--anyauth", "--aws-sigv4 aws:amz:eu:s3"])
def test_credentials_of_another_scheme_are_not_sent_as_basic(scheme: str) -> None:
    command = f"curl {scheme} -u me:secret {U}"
    assert spec_of(command) == {"url": U}
    assert "no credentials are sent" in notes_of(command)


def test_passwords_are_in_no_name() -> None:
    imported = import_curl("curl http://me:hunter2@127.0.0.1:8080/orders?token=hunter2")
    assert imported.spec["name"] == "GET 127.0.0.1:8080/orders"


def test_an_unknown_option_is_an_error_that_names_every_one() -> None:
    with pytest.raises(SpecError) as caught:
        import_curl(f"curl --frobnicate x -ß --no-such {U}")
    assert [problem.code for problem in caught.value.problems] == ["unknown_option"] * 3


def test_multipart_forms_of_text_are_written_out() -> None:
    spec = spec_of(f"curl -F a=1 -F 'b=x;type=application/json' --form-string 'c=@d' {U}")
    boundary = spec["headers"]["Content-Type"].removeprefix("multipart/form-data; boundary=")
    assert spec["method"] == "POST"
    assert spec["body"].split(f"--{boundary}")[1:] == [
        '\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n',
        '\r\nContent-Disposition: form-data; name="b"\r\nContent-Type: application/json\r\n\r\nx\r\n',
        '\r\nContent-Disposition: form-data; name="c"\r\n\r\n@d\r\n',
        "--\r\n",
    ]


class TestSeveralRequests:
    def test_next_and_separators_make_endpoints(self) -> None:
        for joint in ("--next", "; curl", "&& curl", "|| curl", "\ncurl", "& curl"):
            spec = spec_of(f"curl -X PUT {U}/a {joint} {U}/b")
            assert [(each["name"], each.get("method")) for each in spec["endpoints"]] == [
                ("PUT 127.0.0.1:8080/a", "PUT"),
                ("GET 127.0.0.1:8080/b", None),
            ], joint

    def test_several_urls_of_a_command_share_its_options(self) -> None:
        spec = spec_of(f"curl -H 'A: 1' {U}/a {U}/b")
        assert [each["headers"] for each in spec["endpoints"]] == [{"A": "1"}, {"A": "1"}]

    def test_patterns_are_written_out(self) -> None:
        spec = spec_of(f"curl '{U}/{{x,y}}/[08-10]'")
        assert [each["url"].removeprefix(U) for each in spec["endpoints"]] == [
            f"/{letter}/{number}" for letter in "xy" for number in ("08", "09", "10")
        ]
        assert code_of(f"curl '{U}/[1-1000000000]'") == "too_many_urls"
        assert code_of(f"curl '{U}/[1-100]/[1-100]'") == "too_many_urls"

    def test_names_are_unique(self) -> None:
        spec = spec_of(f"curl {U} {U} '{U}/?x' --next {U}")
        names = [each["name"] for each in spec["endpoints"]]
        assert len(set(names)) == 4

    def test_what_holds_for_all_is_said(self) -> None:
        assert "`tls` of one command now applies to all" in notes_of(f"curl -k {U}; curl {U}")


class TestWhatFollowsIsAnotherCommand:
    @pytest.mark.parametrize(
        "tail",
        [
            "| jq .",
            "|jq -r '.a'",
            "> out.json",
            ">out.json 2>&1",
            "2>/dev/null",
            "&> log",
            "# comment -X PUT",
            ">> x",
            "; echo done",
            "&& echo ok",
            "|| exit 1",
            "&",
            ") ",
            "< /dev/null",
        ],
    )
    def test_it_is_never_a_part_of_the_request(self, tail: str) -> None:
        assert spec_of(f"curl -H 'A: 1' {U}/a {tail}") == {"url": f"{U}/a", "headers": {"A": "1"}}

    def test_other_commands_are_named(self) -> None:
        assert "`jq` is ignored" in notes_of(f"curl {U} | jq .")

    def test_an_ampersand_in_an_unquoted_url_is_said(self) -> None:
        assert "put the URL in quotes" in notes_of(f"curl {U}/?a=1&b=2")

    def test_a_hash_within_a_word_is_no_comment(self) -> None:
        assert spec_of(f"curl {U}/a#b")["url"] == f"{U}/a#b"

    def test_data_of_a_here_document_an_echo_and_a_here_string(self) -> None:
        for command in (
            f"curl -d @- {U} <<EOF\nx=1\nEOF",
            f"curl -d @- {U} <<-'EOF'\n\tx=1\n\tEOF\n",
            f"curl -d @- {U} <<< x=1",
            f"echo 'x=1' | curl -d @- {U}",
        ):
            assert spec_of(command)["body"] == "x=1", command

    def test_scripts_are_refused(self) -> None:
        assert code_of(f"for i in 1 2; do curl {U}; done") == "not_a_command"


class TestQuotes:
    @pytest.mark.parametrize(
        ("quoted", "text"),
        [
            (r"$'a\'b\n'", "a'b\n"),
            (r"$'\ud83d\ude00'", "😀"),
            (r"$'\u00e9'", "é"),
            (r"$'\xc3\xa9'", "é"),
            (r"$'\303\251'", "é"),
            (r"$'\U0001F600'", "😀"),
            (r"$'a\\b'", "a\\b"),
            (r"'it'\''s'", "it's"),
            ('"a\\"b\\\\c\\d"', 'a"b\\c\\d'),
            ('$"a"', "a"),
            ("'a\nb'", "a\nb"),
            ("a\\\nb", "ab"),
        ],
    )
    def test_as_bash_reads_them(self, quoted: str, text: str) -> None:
        assert spec_of(f"curl --data-raw {quoted} {U}")["body"] == text

    @pytest.mark.parametrize("quoted", [r"$'\ud83d'", r"$'\xff'", r"$'\xc3'", "'open", '"open', "$'open", "“a”"])
    def test_what_is_no_text_is_refused(self, quoted: str) -> None:
        assert code_of(f"curl {U} --data-raw {quoted}") in ("bad_text", "bad_quotes")

    def test_halves_of_surrogates_in_the_command_are_refused(self) -> None:
        assert code_of(f"curl {U} -d '\ud83d'") == "bad_text"

    def test_a_lost_backslash_is_said(self) -> None:
        assert code_of(f"curl {U}\n  -H 'A: 1'") == "broken_line"
        assert spec_of(f"curl {U} \\  \n  -H 'A: 1'")["headers"] == {"A": "1"}


class TestVariables:
    def test_they_become_references_to_the_environment(self) -> None:
        command = f'curl "{U}/$ID" -H "Authorization: Bearer ${{TOKEN}}" -d \'{{"a":"\'"$A"\'"}}\''
        spec = spec_of(command)
        assert spec["url"] == f"{U}/{{{{env:ID}}}}"
        assert spec["headers"]["Authorization"] == "Bearer {{env:TOKEN}}"
        assert spec["body"] == '{"a":"{{env:A}}"}'
        assert "{{env:TOKEN}}" in notes_of(command)

    def test_single_quotes_keep_a_dollar_sign(self) -> None:
        assert spec_of(f"curl '{U}/?$filter=a'")["url"] == f"{U}/?$filter=a"

    def test_a_url_that_begins_with_one_is_not_given_a_scheme(self) -> None:
        assert spec_of("curl $BASE/users")["url"] == "{{env:BASE}}/users"

    def test_what_the_text_sets_is_filled_in(self) -> None:
        assert spec_of(f'TOKEN=abc; export H=x && curl -H "A: $TOKEN$H" {U}')["headers"] == {"A": "abcx"}

    @pytest.mark.parametrize("expansion", ["$(date)", "`date`", "${A:-b}", "$1", "$$", "$((1+1))", '"$(date)"'])
    def test_what_only_a_shell_knows_is_refused(self, expansion: str) -> None:
        assert code_of(f"curl {U} -H A:{expansion}") == "needs_a_shell"


class TestWindows:
    def test_cmd_as_browsers_copy_it(self) -> None:
        command = (
            f'curl --request POST ^"{U}/a^" ^\r\n  -H ^"accept: */*^" ^\r\n'
            '  --data-raw ^"^{^\\^"a^\\^":^\\^"x ^& y^\\^"^}^"'
        )
        assert spec_of(command) == {
            "url": f"{U}/a",
            "method": "POST",
            "body": '{"a":"x & y"}',
            "headers": {"accept": "*/*", "Content-Type": "application/x-www-form-urlencoded"},
        }
        assert "cmd" in notes_of(command)

    def test_cmd_with_doubled_quotes(self) -> None:
        assert spec_of(f'curl -d "{{""a"":""b""}}" {U}')["body"] == '{"a":"b"}'

    def test_cmd_with_a_line_feed_in_the_body(self) -> None:
        assert spec_of(f'curl ^"{U}^" --data-raw ^"a^\n\nb^"')["body"] == "a\nb"

    def test_cmd_variables_but_not_percent_encoding(self) -> None:
        assert spec_of(f'curl ^"{U}/%E4%B8%AD/%TOKEN%^"')["url"] == f"{U}/%E4%B8%AD/{{{{env:TOKEN}}}}"

    def test_powershell(self) -> None:
        command = f"curl.exe `\n  -H \"A: $env:TOKEN\" `\n  -d '{{\\\"a\\\":''b''}}' {U}"
        spec = spec_of(command)
        assert spec["headers"]["A"] == "{{env:TOKEN}}"
        assert spec["body"] == "{\"a\":'b'}"

    def test_other_commands_of_powershell_are_refused(self) -> None:
        assert code_of(f'Invoke-WebRequest -Uri "{U}" `\n -Method POST') == "not_curl"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("", "not_curl"),
        ("wget http://a", "not_curl"),
        ("curl", "no_url"),
        ("curl ftp://a/", "unsupported_scheme"),
        (f"curl -d @body.json {U}", "file_not_allowed"),
        (f"curl -F a=@b {U}", "file_not_allowed"),
        (f"curl -T file {U}", "file_not_allowed"),
        (f"curl -b jar.txt {U}", "file_not_allowed"),
        (f"curl -H @headers {U}", "file_not_allowed"),
        (f"curl --url-query @f {U}", "file_not_allowed"),
        (f"curl {U} -H", "missing_value"),
        (f"curl -m nan {U}", "bad_value"),
        (f"curl -m soon {U}", "bad_value"),
        (f"curl --max-redirs many {U}", "bad_value"),
        (f"curl {U} <<EOF\nx", "bad_quotes"),
    ],
)
def test_what_cannot_be_read_says_why(command: str, code: str) -> None:
    assert code_of(command) == code


@pytest.mark.parametrize(
    "text",
    [
        "\\" * 50_000,
        "'" * 49_999,
        "$A" * 25_000,
        "-H 'a: b' " * 5_000,
        "a;" * 25_000,
        "`" * 9,
        '"' * 49_999,
        "^" * 50_000,
        "<<E\n" * 50_000,
        "$'" + "\\x41" * 50_000 + "'",
        "{" * 50_000,
        "[1-2]" * 10_000,
    ],
)
def test_a_long_command_takes_linear_time(text: str) -> None:
    # The time limit of the test is the only clock: quadratic work on 50 kB would pass it by far.
    for command in (f"curl {U} {text}", f'curl ^"{U}^" {text}', f"curl.exe `\n {U} {text}"):
        with contextlib.suppress(SpecError):
            assert import_curl(command).spec["name"]
