"""The PDF report: what it says can be copied, fonts are embedded, and text of targets cannot break it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

from atm.models.outcome import Outcome
from atm.models.run import RunResult
from atm.reports.pdf import render_pdf
from tests.cli import results
from tests.metrics.shop import shop_result_with_data

HOSTILE = (
    "</text><script>alert(1)</script> {nb} **bold** \\(x) Tj ET",
    "\x00\x1b[2J\x07 \u202eevil\u2066 \ud800",
    "x" * 10_000,
    "word " * 2_000,
    "שלום עולם مرحبا بالعالم 商品検索 결제 ไทย हिन्दी",
    "🚀👩‍👩‍👧 e\u0301\u0301\u0301 \U0010ffff",
    "",
    " \n\t ",
)


def full(**changes: Any) -> RunResult:
    encoded = base64.b64encode(results.response_times().encode()).decode()
    histograms = dict.fromkeys(("response", "response_ok", "service", "first_byte"), encoded)
    return results.result(**{"histograms": histograms, **changes})


def page_count(document: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", document))


def copied(document: bytes) -> str:
    """The characters that the fonts of the document give for copying, in no order."""
    text = ""
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", document, re.DOTALL):
        if b"beginbfchar" in stream:
            for code in re.findall(rb"<[0-9A-Fa-f]+> <([0-9A-Fa-f]+)>", stream):
                text += bytes.fromhex(code.decode()).decode("utf-16-be", "ignore")
    return text


def test_a_report_is_a_pdf_of_a_few_pages_with_embedded_fonts() -> None:
    document = render_pdf(full())
    assert document.startswith(b"%PDF-1.")
    assert document.rstrip().endswith(b"%%EOF")
    assert 2 <= page_count(document) <= 4
    assert len(document) < 100_000
    assert document.count(b"/FontFile2") >= 2
    assert b"/JavaScript" not in document
    assert b"/URI" not in document
    assert b"595.28 841.89" in document
    assert set("quickstart") <= set(copied(document))


def test_scenarios_checks_and_test_data_have_their_sections() -> None:
    assert page_count(render_pdf(shop_result_with_data())) >= 2


def test_text_of_specs_and_targets_cannot_break_it() -> None:
    every = " ".join(HOSTILE)
    run = full().run.model_copy(update={"name": every, "error": every})
    failure, rule = results.failures()[0], results.thresholds()[1]
    hostile = full(
        run=run,
        failures=[failure.model_copy(update={"message": text, "endpoint": text}) for text in HOSTILE],
        endpoint_metrics=[results.endpoint("GET /a").model_copy(update={"name": text}) for text in HOSTILE],
        thresholds=[rule.model_copy(update={"expression": text, "message": text}) for text in HOSTILE],
    )
    document = render_pdf(hostile)
    assert page_count(document) <= 6
    assert len(document) < 400_000


def test_names_in_any_script_can_be_copied_and_unknown_characters_are_boxes() -> None:
    run = full().run.model_copy(update={"name": "Ελλάδα Привет 商品 결제 שלום \U0010fffe"})
    characters = set(copied(render_pdf(full(run=run))))
    assert set("ΕλάδαПривет商品결제שלום") <= characters
    assert "□" in characters


def test_many_rows_are_cut_and_the_rest_is_counted() -> None:
    entries = [results.endpoint("GET /a").model_copy(update={"name": f"GET /{number}"}) for number in range(2_000)]
    assert page_count(render_pdf(full(endpoint_metrics=entries))) < 20


def test_a_run_that_measured_nothing_has_a_report() -> None:
    metrics = results.metrics(
        total_requests=0,
        successful_requests=0,
        failed_requests=0,
        status_code_counts={},
        errors_by_type={},
        **{f"{kind}_{name}_ms": None for kind in ("latency", "service", "first_byte") for name in results.COLUMNS},
    )
    empty = full(metrics=metrics, timeline=[], endpoint_metrics=[], failures=[], thresholds=[], histograms={})
    assert page_count(render_pdf(empty)) >= 1


def test_infinite_times_and_single_points_are_drawn() -> None:
    point = replace(results.timeline()[0], latency_max_ms=results.INFINITE, errors={Outcome.TIMEOUT: 1})
    assert page_count(render_pdf(full(timeline=[point]))) >= 1
