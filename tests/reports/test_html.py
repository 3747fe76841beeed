from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

from atm.metrics.histogram import Histogram
from atm.models.run import RunResult
from atm.reports.html import render_html
from atm.reports.scales import linear_ticks, logarithmic_ticks, time_scale
from tests.cli import results
from tests.metrics.shop import shop_result, shop_result_with_data

EVIL = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='x' \u202e\x00"
VOID = {"meta", "br", "col"}


class Outline(HTMLParser):
    """Collects tags and attributes, and fails on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    parsed.close()
    assert parsed.open == []
    return parsed


def full() -> RunResult:
    encoded = base64.b64encode(results.response_times().encode()).decode()
    return results.result(histograms=dict.fromkeys(("response", "response_ok", "service", "first_byte"), encoded))


def test_every_tag_is_closed_and_nothing_is_loaded_from_anywhere() -> None:
    parsed = outline(render_html(full()))
    assert not parsed.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "a"}
    assert not {name for name, _ in parsed.attributes} & {"src", "href", "style", "srcset", "action"}
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert "url(http" not in render_html(full())
    assert "@import" not in render_html(full())


def test_the_policy_allows_the_one_style_sheet_and_nothing_else() -> None:
    page = render_html(full())
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert style is not None
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src &#x27;sha256-{digest}&#x27;" in policy[1]
    assert policy[1].startswith("default-src &#x27;none&#x27;")


def test_what_a_target_or_a_spec_says_stays_text() -> None:
    failures = [
        failure.model_copy(update={"example": EVIL, "message": EVIL, "endpoint": EVIL})
        for failure in results.failures()
    ]
    sample = results.sample().model_copy(
        update={"response_body": EVIL, "request_headers": [(EVIL, EVIL)], "endpoint": EVIL}
    )
    thresholds = [results.threshold(EVIL, 1.0, 2.0, "ms", True, 0.5, EVIL)]
    hostile = results.result(
        run=results.info(name=EVIL, error=EVIL),
        endpoint_metrics=[results.endpoint("GET /x").model_copy(update={"name": EVIL, "url": EVIL})],
        failures=failures,
        samples=[sample],
        thresholds=thresholds,
        spec={EVIL: EVIL},
        environment={"atm_version": EVIL},
    )
    page = render_html(hostile)
    parsed = outline(page)
    assert not parsed.tags & {"script", "img"}
    assert "<script" not in page
    assert "\x00" not in page
    assert "\u202e" not in page
    assert "<script>alert(1)</script>" in parsed.text


def test_verdicts_come_first() -> None:
    text = outline(render_html(full())).text
    assert text.index("1 of 3 failed") < text.index("Measurement") < text.index("Times") < text.index("Endpoints")


def test_the_figures_are_spelled_as_in_the_terminal() -> None:
    text = outline(render_html(full())).text
    for figure in ("499.9", "132 ms", "30,000 started = 29,962 ok + 38 failed + 0 unfinished", "99.87 %", "∞"):
        assert figure in text


def test_a_second_without_data_is_a_gap_in_the_line() -> None:
    page = render_html(full())
    wide = next(
        svg for svg in re.findall(r'<svg class="wide".*?</svg>', page) if "Percentiles of the response time" in svg
    )
    assert len(re.findall(r'<polyline [^>]*class="line k-p99"', wide)) == 2


def test_a_run_without_any_answer_has_a_page_too() -> None:
    nothing = {name: None for name in results.figures() if name.endswith("_ms")}
    metrics = results.metrics(**nothing, status_code_counts={}, duration_seconds=0.0, offered_rate=None)
    empty = results.result(metrics=metrics, timeline=[], histograms={}, endpoint_metrics=[], failures=[], samples=[])
    outline(render_html(empty))


def test_an_hour_of_seconds_stays_a_file_that_can_be_mailed() -> None:
    point = results.timeline()[30]
    hour = [replace(point, second=second) for second in range(3_600)]
    assert len(render_html(full().model_copy(update={"timeline": hour}))) < 3_000_000


def test_ticks_are_round_and_differ() -> None:
    assert linear_ticks(499.9, 4) == [0, 200, 400, 600]
    assert linear_ticks(0) == [0, 1]
    assert logarithmic_ticks(7, 2_040) == [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]


def test_times_are_drawn_on_a_logarithm_once_they_span_two_decades() -> None:
    assert not time_scale([1.0, 99.0], 1.0, 100, 0)[0].logarithmic
    assert time_scale([1.0, 101.0], 1.0, 100, 0)[0].logarithmic


def test_one_sample_is_enough_for_a_distribution() -> None:
    histogram = Histogram()
    histogram.record(5_000_000)
    page = render_html(results.result(histograms={"response": base64.b64encode(histogram.encode()).decode()}))
    assert "Distribution" in outline(page).text


def test_the_header_names_the_load_of_each_scenario() -> None:
    loads = {"browse": {"load": {"rate": 40, "arrival": "poisson"}}, "order": {"load": {"users": 50}}}
    page = outline(render_html(results.result(spec={"name": "shop", "scenarios": loads})))
    assert "browse: open, 40 /s poisson" in page.text
    assert "order: closed, 50 users" in page.text


def test_test_data_has_a_table_of_its_rows() -> None:
    page = render_html(shop_result_with_data())
    assert "Test data" in page
    cells = re.sub(r"<[^>]+>", " ", page[page.index("Test data") :])
    assert "words 10 10 20 2 s" in " ".join(cells.split())
    assert "Test data" not in render_html(shop_result())
