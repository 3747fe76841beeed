"""The cookie jar follows the cases that both engines share, and never sends what it must not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.scenario.cookies import MOST_COOKIES, Jar, cookie_date
from tests.examples import examples
from tests.vectors import vectors

COOKIES = vectors("cookies")


@pytest.mark.parametrize("case", COOKIES["sequences"], ids=lambda case: str(case["name"]))
def test_a_jar_behaves_as_in_the_shared_cases(case: dict[str, Any]) -> None:
    jar = Jar()
    for step in case["steps"]:
        url = urlsplit(step["url"])
        host = url.hostname or ""
        for line in step.get("set_cookie", []):
            jar.store(line, host=host, path=url.path, now_s=step["at_s"])
        if "cookie" in step:
            header = jar.header(host=host, path=url.path, is_https=url.scheme == "https", now_s=step["at_s"])
            assert header == step["cookie"]


@pytest.mark.parametrize(("text", "seconds"), COOKIES["dates"])
def test_dates_are_read_as_in_the_shared_cases(text: str, seconds: int | None) -> None:
    assert cookie_date(text) == seconds


LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
LINES = st.one_of(
    LATIN,
    st.builds(
        "{}={}; {}={}; {}".format,
        st.text("ab", max_size=2),
        LATIN,
        st.sampled_from(["Path", "Domain", "Max-Age", "Expires", "x"]),
        st.one_of(LATIN, st.sampled_from(["/", "/a", "h.test", ".test", "9" * 30, "1 Jan 2030 1:2:3"])),
        st.sampled_from(["Secure", "Path=/a/b", "Domain=h.test", ""]),
    ),
)


@given(st.lists(st.tuples(LINES, st.sampled_from(["h.test", "x.h.test", "::1", "1.2.3.4", ""]), LATIN), max_size=80))
@examples(200)
def test_no_line_breaks_the_jar_or_a_header(lines: list[tuple[str, str, str]]) -> None:
    jar = Jar()
    for line, host, path in lines:
        jar.store(line, host=host, path=path, now_s=0)
        header = jar.header(host=host, path=path, is_https=True, now_s=0)
        assert not set(header) & {"\r", "\n", "\x00"}
        assert len(jar) <= MOST_COOKIES
    assert jar.header(host="other.invalid", path="/", is_https=True, now_s=0) == ""
    jar.clear()
    assert len(jar) == 0


@given(st.text(max_size=80))
@examples(300)
def test_no_text_breaks_the_reader_of_dates(text: str) -> None:
    seconds = cookie_date(text)
    assert seconds is None or isinstance(seconds, int)
