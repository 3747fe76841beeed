from __future__ import annotations

import json
import time

import pytest

from atm.errors import SpecError
from atm.plan.spec_reader import MAX_VALUES, read_spec_text


def told(text: str | bytes, name: str = "shop.yaml") -> str:
    with pytest.raises(SpecError) as error:
        read_spec_text(text.encode() if isinstance(text, str) else text, name)
    return str(error.value)


def test_values_know_their_lines_in_yaml() -> None:
    document = read_spec_text(b"name: a\nload:\n  stages:\n    - duration: 5s\n      target: 7\n", "shop.yaml")
    assert document.data == {"name": "a", "load": {"stages": [{"duration": "5s", "target": 7}]}}
    assert document.place(("load", "stages", 0, "target")) == "shop.yaml:5"
    assert document.place(("load", "stages")) == "shop.yaml:3"
    assert document.place(("load", "users")) == "shop.yaml:2"
    assert document.place(("nowhere",)) == "shop.yaml:1"


def test_values_know_their_lines_in_json() -> None:
    document = read_spec_text(b'{\n "name": "a",\n "endpoints": [\n  {"url": "x",\n   "weight": 3}]}', "shop.json")
    assert document.place(("endpoints", 0, "weight")) == "shop.json:5"


def test_standard_input_has_lines_without_a_name() -> None:
    assert read_spec_text(b"name: a\nurl: b\n").place(("url",)) == "line 2"


def test_yaml_scalars_are_what_they_look_like() -> None:
    text = "a: on\nb: no\nc: 1:30\nd: 2026-01-31\ne: 007\nf: 1_000\ng: 0x1F\nh: ~\n"
    text += "i: 1e3\nj: 'true'\nk: true\nl: -5\nm: =\n"
    assert read_spec_text(text.encode()).data == {
        "a": "on",
        "b": "no",
        "c": "1:30",
        "d": "2026-01-31",
        "e": "007",
        "f": "1_000",
        "g": "0x1F",
        "h": None,
        "i": 1000.0,
        "j": "true",
        "k": True,
        "l": -5,
        "m": "=",
    }


def test_anchors_aliases_and_merge_keys_are_expanded() -> None:
    text = b"base: &b {x: 1, y: 2}\nlist: [*b, {<<: *b, y: 3}]\nmany: {<<: [{z: 9}, *b]}\n"
    assert read_spec_text(text).data == {
        "base": {"x": 1, "y": 2},
        "list": [{"x": 1, "y": 2}, {"x": 1, "y": 3}],
        "many": {"z": 9, "x": 1, "y": 2},
    }


def test_json_reads_what_yaml_would_not() -> None:
    text = '{\n\t"name": "a",\n\t"body": "\\ud83d\\ude00 \\/",\n\t"n": [1, -2.5e3, true, null, {}, []]\n}'
    assert read_spec_text(text.encode()).data == json.loads(text)


def test_a_flow_mapping_is_yaml_too() -> None:
    assert read_spec_text(b"{name: a, url: http://h/}").data == {"name": "a", "url": "http://h/"}


def test_a_byte_order_mark_is_not_part_of_the_spec() -> None:
    assert read_spec_text(b"\xef\xbb\xbfname: a").data == {"name": "a"}


CASES = {
    "not UTF-8": (
        b"name: a\nurl: caf\xe9\n",
        "error: the spec is not UTF-8: byte 0xe9 at offset 16 [not_utf8]\n"
        "  at: shop.yaml:2\n"
        "  hint: Convert it: `iconv -f latin-1 -t utf-8 shop.yaml`",
    ),
    "UTF-16": (
        "name: a".encode("utf-16"),
        "error: the spec is not UTF-8: byte 0xff at offset 0 [not_utf8]\n"
        "  at: shop.yaml:1\n"
        "  hint: Convert it: `iconv -f utf-16 -t utf-8 shop.yaml`",
    ),
    "empty": (
        b" \n",
        "error: the spec is empty [empty_spec]\n  at: shop.yaml\n  hint: `atm init` writes a starter spec",
    ),
    "only a comment": (
        b"# soon\n",
        "error: a spec must be an object with named fields, not nothing [not_an_object]\n"
        "  at: shop.yaml\n"
        "  hint: A spec has at least `name: …` and `url: …`; `atm init` writes one",
    ),
    "a list": (
        b"- name: a\n",
        "error: a spec must be an object with named fields, not a list [not_an_object]\n"
        "  at: shop.yaml\n"
        "  hint: A spec has at least `name: …` and `url: …`; `atm init` writes one",
    ),
    "bad YAML": (
        b"name: a\nurl: [b\n",
        "error: invalid YAML: did not find expected ',' or ']' [bad_yaml]\n"
        "  at: shop.yaml:3\n"
        "  hint: Indent with spaces, and quote text that holds `: `, `#` or starts with `{`, `*`, `@`",
    ),
    "two documents": (
        b"name: a\n---\nname: b\n",
        "error: a second document starts here; a spec must be a single document [bad_yaml]\n  at: shop.yaml:2",
    ),
    "duplicate key": (
        b"name: a\nload:\n  users: 1\n  users: 2\n",
        'error: "users" occurs twice, first at shop.yaml:3 [duplicate_key]\n'
        "  at: load.users, shop.yaml:4\n"
        "  hint: Keep one of the two",
    ),
    "duplicate key in JSON": (
        b'{"name": "a",\n "name": "b"}',
        'error: "name" occurs twice, first at shop.yaml:1 [duplicate_key]\n'
        "  at: name, shop.yaml:2\n"
        "  hint: Keep one of the two",
    ),
    "tag": (
        b"name: !!python/object:os.system a\n",
        "error: the YAML tag tag:yaml.org,2002:python/object:os.system is not supported [bad_yaml]\n"
        "  at: name, shop.yaml:1\n"
        "  hint: Write the value without a tag",
    ),
    "object as a name": (b"{a: 1}: 2\n", "error: the name of a field must be plain text [bad_yaml]\n  at: shop.yaml:1"),
    "alias in itself": (b"a: &a [*a]\n", "error: the alias *a refers to itself [bad_yaml]\n  at: shop.yaml:1"),
    "depth": (
        b"a: " + b"[" * 500 + b"]" * 500,
        "error: the spec is nested more than 64 levels deep [spec_too_deep]\n  at: shop.yaml:1",
    ),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES.keys())
def test_what_cannot_be_read_is_explained(text: bytes, message: str) -> None:
    assert told(text) == message


def test_bad_json_says_where_it_ends_to_be_json() -> None:
    assert told('{"name": "a",\n "url" "b"}', "shop.json") == (
        'error: invalid JSON: a colon is missing after "url" [bad_json]\n  at: shop.json:2'
    )
    assert told('{"name": "a"', "shop.json") == (
        "error: invalid JSON: a comma or } is missing here [bad_json]\n  at: shop.json:1"
    )
    assert told('{"name": NaN}', "shop.json") == (
        "error: invalid JSON: a value is missing before 'N' [bad_json]\n  at: shop.json:1"
    )
    assert "the end of the object" in told('{"name": "a"} x', "shop.json")


def test_aliases_cannot_blow_a_spec_up() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, 12)]
    started = time.process_time()
    assert told("\n".join(lines)) == (
        f"error: the spec has more than {MAX_VALUES:,} values once its aliases are expanded [spec_too_large]\n"
        "  at: shop.yaml:1"
    )
    assert time.process_time() - started < 10


def test_deep_json_is_refused_before_it_exhausts_the_stack() -> None:
    assert "more than 64 levels" in told('{"a":' + "[" * 100_000, "shop.json")


def test_a_large_file_is_refused_unread() -> None:
    assert told(b"#" * 16_000_001) == (
        "error: the spec is larger than 16,000,000 bytes [spec_too_large]\n  at: shop.yaml"
    )
