"""A hint leads out of the error: what it says to write can be written."""

from __future__ import annotations

import re

import pytest

from atm.errors import Problem, SpecError
from atm.models.threshold import parse_threshold
from atm.models.threshold_names import HINT
from atm.plan.compile import compile_plan


def problem_of_threshold(text: str) -> Problem:
    with pytest.raises(SpecError) as caught:
        parse_threshold(text)
    return caught.value.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "error_rate < 101%",
        "error_rate < 150",
        "error_rate > 5",
        "latency < 1s",
        "ok < 3s",
        "service <= 3s",
        "300ms > p99",
        "p99 = 3ms",
        "p99 =< 3",
        "p99 => 3",
        "p99 < 1s for",
        "p99 < 1s and rps > 3",
        "1 < p99 < 2",
        "latncy < 1s",
        "erorr_rate < 1%",
        "servce p95 < 1",
        "throughputs > 3",
        "p99 < ",
        "p99 < 300 apples",
    ],
)
def test_of_a_threshold(text: str) -> None:
    hint = problem_of_threshold(text).hint
    assert hint
    for written in re.findall(r'"([^"]+)"', hint.replace(HINT, "")):
        rule = written if re.search("[<>]", written) else f"p99 < 1s {written}"
        parse_threshold(rule)
        assert rule != text
    for metric in re.findall(r"Did you mean `([^`]+)`", hint):
        parse_threshold(f"{metric} < 1")


@pytest.mark.parametrize(
    "url",
    ["http://[::1/", "http://[::1", "http:/x", "http:x", "//x", "x", "localhost:80/x", "http:\\\\a\\b", "https:/a/b"],
)
def test_of_a_url(url: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_plan({"name": "a", "url": url}, {})
    written = re.search(r'Write "([^"]+)"', caught.value.problems[0].hint)
    assert written
    compile_plan({"name": "a", "url": written[1]}, {})


@pytest.mark.parametrize("url", ["http://::1/", "http://[zz]/", "http://[::1]x/", "http://a:99999/", "ftp://a/"])
def test_every_bad_url_has_one(url: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_plan({"name": "a", "url": url}, {})
    assert caught.value.problems[0].hint
