"""Bodies of requests: forms of several parts, GraphQL, files."""

from __future__ import annotations

from pathlib import Path

import pytest

from atm.cli.specs import compile_document, compile_source
from atm.errors import SpecError
from atm.library import compile_spec
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.load_plan import Step
from atm.plan.overrides import Overrides
from atm.plan.program import CheckName
from atm.plan.spec_reader import read_spec_text
from atm.plan.template_parts import BytesPart, Encoding, LiteralPart, ValuePart
from tests.plan.test_compile_errors import error_text

FILES = {
    "note.txt": b"a {{b}} c",
    "photo.jpg": b"\xff\xd8",
    "order.schema.json": b'{"type": "object"}',
    "bad.json": b"{",
    "bad.schema.json": b"[]",
}


def read_file(name: str) -> bytes:
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[name]


def compiled(*steps: str) -> CompiledTest:
    lines = "".join(f"      - {step}\n" for step in steps)
    text = f"name: a\nbase_url: http://127.0.0.1\nscenarios:\n  s:\n    steps:\n{lines}"
    return compile_plan(read_spec_text(text.encode(), "shop.yaml"), {}, read_file=read_file)


def last_step(test: CompiledTest) -> Step:
    return test.plan.flows[0].steps[-1]


def literal(step: Step) -> str:
    return "".join(part.text if isinstance(part, LiteralPart) else "…" for part in step.body or ())


def content_type(step: Step) -> str:
    lines = [header for header in step.headers if header.name == "Content-Type"]
    return "".join(part.text for header in lines for part in header.value if isinstance(part, LiteralPart))


def problems(*steps: str) -> list[tuple[str, str, str]]:
    with pytest.raises(SpecError) as error:
        compiled(*steps)
    return [(problem.what, problem.path, problem.hint) for problem in error.value.problems]


def test_a_multipart_body_has_a_part_per_field() -> None:
    step = last_step(
        compiled('{POST: /x, multipart: {title: "n{{iteration}}", doc: {file: note.txt, filename: "a\\"b.txt"}}}')
    )
    kind, _, boundary = content_type(step).partition("; boundary=")
    assert kind == "multipart/form-data"
    assert literal(step) == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="title"\r\n\r\nn…\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="doc"; filename="a%22b.txt"\r\n'
        f"Content-Type: text/plain\r\n\r\na {{{{b}}}} c\r\n--{boundary}--\r\n"
    )


def test_a_multipart_body_is_the_same_in_every_compilation() -> None:
    first, second = (last_step(compiled("{POST: /x, multipart: {a: b}}")) for _ in range(2))
    assert (first.body, first.headers) == (second.body, second.headers)


def test_a_graphql_request_is_json_and_its_errors_fail() -> None:
    test = compiled(
        "{GET: /x, extract: {id: $.id}}",
        '{POST: /graphql, graphql: {query: "query q($id: ID!) {item(id: $id) {name}}", variables: {id: "{{id}}"}, '
        "operation_name: q}}",
    )
    step = last_step(test)
    assert literal(step) == (
        '{"query":"query q($id: ID!) {item(id: $id) {name}}","operationName":"q","variables":{"id":…}}'
    )
    assert [part.encoding for part in step.body or () if isinstance(part, ValuePart)] == [Encoding.JSON_VALUE]
    assert content_type(step) == "application/json"
    assert test.plan.checks == (CheckName("no graphql errors", 1),)
    assert [check.text for check in step.named_checks] == ["$.errors missing or $.errors == null"]
    assert step.expected_statuses == ((200, 200), (201, 201), (204, 204))


def test_a_graphql_query_may_be_a_text_alone() -> None:
    assert literal(last_step(compiled('{POST: /g, graphql: "{items {id}}"}'))) == '{"query":"{items {id}}"}'


def test_a_file_is_sent_as_it_is() -> None:
    step = last_step(compiled("{POST: /x, file: note.txt}"))
    assert (literal(step), content_type(step)) == ("a {{b}} c", "text/plain")


def test_a_file_that_is_not_text_is_sent_as_bytes() -> None:
    step = last_step(compiled("{POST: /x, file: photo.jpg}"))
    assert (step.body, content_type(step)) == ((BytesPart("/9g="),), "image/jpeg")
    step = last_step(
        compiled('{POST: /x, multipart: {photo: {file: photo.jpg, type: image/x}, meta: {value: "{}", type: text/a}}}')
    )
    boundary = content_type(step).partition("; boundary=")[2]
    assert step.body == (
        LiteralPart(
            f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
            "Content-Type: image/x\r\n\r\n"
        ),
        BytesPart("/9g="),
        LiteralPart(
            f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="meta"\r\nContent-Type: text/a\r\n\r\n'
            f"{{}}\r\n--{boundary}--\r\n"
        ),
    )


def test_a_compressed_body_is_declared() -> None:
    step = last_step(compiled("{POST: /x, body: a, compress: gzip}"))
    assert step.compresses
    assert [header.value for header in step.headers if header.name == "Content-Encoding"] == [(LiteralPart("gzip"),)]


def test_a_schema_is_read_before_the_run() -> None:
    step = last_step(compiled("{GET: /x, checks: [schema order.schema.json]}"))
    condition = step.named_checks[0].condition
    assert condition.condition == "comparison"
    assert (condition.operator, condition.operand) == ("conforms", {"type": "object"})


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            "{POST: /x, file: none.txt}",
            (
                'the file "none.txt" cannot be read: No such file or directory',
                "scenarios.s.steps[0].file",
                "Paths are relative to the directory of the spec",
            ),
        ),
        (
            "{POST: /x, multipart: {a: {type: text/plain}}}",
            (
                "a part of a multipart body has a file or a value, and this one has none",
                "scenarios.s.steps[0].multipart.a",
                "Write `{file: photo.jpg}`, or `{value: text, type: text/plain}`",
            ),
        ),
        (
            "{POST: /x, multipart: {a: {file: note.txt, value: b}}}",
            (
                "a part of a multipart body has a file or a value, and this one has both",
                "scenarios.s.steps[0].multipart.a",
                "Write `{file: photo.jpg}`, or `{value: text, type: text/plain}`",
            ),
        ),
        (
            "{GET: /x, compress: gzip}",
            (
                "compress: gzip applies to a body, and this request has none",
                "scenarios.s.steps[0].compress",
                "Remove it, or add one of: body, json, form, multipart, graphql, file",
            ),
        ),
        (
            "{POST: /x, body: a, compress: gzip, headers: {content-encoding: br}}",
            (
                "compress: gzip sets the header content-encoding, which is also written",
                "scenarios.s.steps[0].compress",
                "Remove the header, or `compress` for a body that is compressed",
            ),
        ),
        (
            "{GET: /x, checks: [schema bad.schema.json]}",
            ("", "scenarios.s.steps[0].checks[0]", 'Write an object such as {"type": "object"}'),
        ),
        (
            "{GET: /x, checks: [schema bad.json]}",
            ('the file "bad.json" is not JSON: ', "scenarios.s.steps[0].checks[0]", "A JSON Schema is a JSON document"),
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem(step: str, problem: tuple[str, str, str]) -> None:
    ((what, path, hint),) = problems(step)
    assert what.startswith(problem[0])
    assert (path, hint) == problem[1:]


def test_without_file_access_a_file_is_a_problem() -> None:
    text = "name: a\nbase_url: http://h\nscenarios: {s: {steps: [{POST: /x, file: note.txt}]}}\n"
    assert error_text(text) == (
        'error: the file "note.txt" cannot be used here: a server reads no files of its own for a spec '
        "[file_not_allowed]\n"
        "  at: scenarios.s.steps[0].file, shop.yaml:3\n"
        "  hint: Write its content into the spec, or run it on the command line"
    )


@pytest.mark.parametrize("path", ["$.a[", "$..a..b..c", "$.a[?@.b >]", "$x"])
def test_a_bad_jsonpath_names_the_character(path: str) -> None:
    ((what, place, hint),) = problems(f"{{GET: /x, checks: ['{path} exists']}}")
    assert what.startswith(f'"{path}')
    assert place == "scenarios.s.steps[0].checks[0] character 1"
    assert hint == "For example `$.items[0].id`, `$.items[*].price`, `$['a name']`; the syntax is RFC 9535"


def test_files_are_relative_to_the_spec_and_stay_below_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = tmp_path / "specs"
    (specs / "files").mkdir(parents=True)
    (specs / "files/note.txt").write_text("inside")
    (tmp_path / "outside.txt").write_text("outside")
    (specs / "link.txt").symlink_to(tmp_path / "outside.txt")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def write(name: str) -> str:
        spec = specs / "shop.yaml"
        step = f"{{POST: /x, multipart: {{doc: {{file: {name}}}}}}}"
        spec.write_text(f"name: a\nbase_url: http://127.0.0.1\nscenarios: {{s: {{steps: [{step}]}}}}\n")
        return str(spec)

    for compile_file in (lambda name: compile_source(name, Overrides()), compile_spec):
        assert "inside" in literal(last_step(compile_file(write("files/note.txt"))))
        for name in ("../outside.txt", "link.txt", str(tmp_path / "outside.txt")):
            with pytest.raises(SpecError) as error:
                compile_file(write(name))
            (problem,) = error.value.problems
            assert (problem.what, problem.code, problem.path, problem.hint) == (
                f'the file "{name}" is outside of the directory of the spec',
                "file_not_allowed",
                "scenarios.s.steps[0].multipart.doc.file",
                f"Move it there, or below it: {specs.resolve()}",
            )


def test_files_of_a_spec_without_a_file_are_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note.txt").write_text("inside")
    monkeypatch.chdir(tmp_path)
    spec = {"name": "a", "endpoints": [{"name": "e", "url": "http://127.0.0.1/", "file": "note.txt"}]}
    assert literal(last_step(compile_spec(spec))) == "inside"
    text = b"name: a\nendpoints: [{name: e, url: 'http://127.0.0.1/', file: note.txt}]\n"
    assert literal(last_step(compile_document(read_spec_text(text, "stdin")))) == "inside"
