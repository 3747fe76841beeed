"""CSV, JUnit XML and what GitHub Actions shows."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree

from atm.models.outcome import Outcome
from atm.models.run import Measurement
from atm.models.run_figures import HookFigures
from atm.reports.csv import render_csv
from atm.reports.github import workflow_commands
from atm.reports.junit import render_junit
from atm.reports.markdown import render_markdown
from tests.cli import results
from tests.metrics.shop import shop_result, shop_result_with_data


def test_csv_has_a_row_for_each_endpoint_and_the_total() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(results.result()))))
    assert [row["endpoint"] for row in rows] == ["GET /users", "GET /orders/{id}", "POST /orders", "total"]
    total = rows[-1]
    assert total["total_requests"] == "30000"
    assert total["latency_p99_ms"] == "132.4"
    assert total["adjusted_latency_max_ms"] == "Infinity"
    assert total["unexpected_status"] == "26"
    assert total["status_503"] == "26"
    assert total["tls_error"] == "0"


def test_csv_leaves_a_cell_without_data_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(results.result(metrics=results.metrics(latency_p50_ms=None))))))
    assert rows[-1]["latency_p50_ms"] == ""


def test_csv_gives_a_spreadsheet_no_formula() -> None:
    evil = results.endpoint("GET /x").model_copy(update={"name": "=cmd|' /C calc'!A0"})
    rows = list(csv.DictReader(io.StringIO(render_csv(results.result(endpoint_metrics=[evil])))))
    assert rows[0]["endpoint"] == "'=cmd|' /C calc'!A0"


def test_junit_has_a_case_for_each_threshold_endpoint_and_the_measurement() -> None:
    root = ElementTree.fromstring(render_junit(results.result()))
    suite = root[0]
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "1", "0")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "error_rate < 0.1 %: measured 0.13 %"
    assert [case.get("classname") for case in suite] == [
        *["quickstart.thresholds"] * 3,
        *["quickstart.endpoints"] * 3,
        "quickstart.measurement",
    ]


def test_junit_fails_for_an_invalid_measurement_and_an_endpoint_that_never_answered_well() -> None:
    reason = results.reason(Measurement.INVALID, "no free local port", "more ports")
    dead = results.endpoint("POST /orders", successful_requests=0, errors_by_type={Outcome.TIMEOUT: 30_000})
    result = results.result(
        verdict=results.verdict(None, Measurement.INVALID, [reason], 4), endpoint_metrics=[dead], thresholds=[]
    )
    failures = ElementTree.fromstring(render_junit(result)).findall("testsuite/testcase/failure")
    assert [failure.get("message") for failure in failures] == [
        "0 of 30,000 requests ok",
        "the measurement is invalid",
    ]
    assert "12 × timeout: no full answer in 2 s" in str(failures[0].text)


def test_junit_of_hostile_names_is_xml() -> None:
    evil = "]]></failure>\x00\x0b\ufffe\ud800 & <x>"
    result = results.result(
        run=results.info(name=evil), thresholds=[results.threshold(evil, None, 1.0, "ms", False, None, evil)]
    )
    assert ElementTree.fromstring(render_junit(result).encode())[0].find("testcase/failure") is not None


def test_github_gets_an_error_for_each_failed_threshold() -> None:
    assert workflow_commands(results.result()) == (
        "::error title=atm%3A quickstart::threshold failed: error_rate < 0.1 %25, measured 0.13 %25 "
        "(all 38 on POST /orders)\n"
    )


def test_github_commands_cannot_be_smuggled_in() -> None:
    evil = results.threshold("p99 < 1 ms\n::set-env name=X::y", 2.0, 1.0, "ms", False, -1.0)
    assert workflow_commands(results.result(thresholds=[evil])).count("\n") == 1


def test_the_step_summary_is_a_table_that_names_cannot_break() -> None:
    evil = results.endpoint("GET /a|b`<img>")
    text = render_markdown(results.result(endpoint_metrics=[evil]))
    assert "| GET /a\\|b\\`\\<img\\> | 30,000 | 38 | 12.4 ms | 48.9 ms | 132 ms |" in text
    assert "| ✗ failed | error\\_rate \\< 0.1 % | 0.13 % | all 38 on POST /orders |" in text


def test_csv_of_scenarios_has_their_iterations_and_checks() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(shop_result()))))
    assert [row["endpoint"] for row in rows[:5]] == ["browse/list", "browse/open", "order/list", "order/order", "total"]
    assert [(row["scenario"], row["reached"], row["not_reached"]) for row in rows[:2]] == [
        ("browse", "28", "0"),
        ("browse", "20", "8"),
    ]
    browse = rows[5]
    assert (browse["endpoint"], browse["scenario"], browse["iterations_due"]) == ("", "browse", "33")
    assert (browse["iterations_completed"], browse["iterations_failed"], browse["reached"]) == ("20", "8", "")
    assert float(browse["iteration_time_p50_ms"]) > float(browse["active_time_p50_ms"])
    checks = [(row["check"], row["step"], row["passed"], row["failed"], row["passed_share"]) for row in rows[7:]]
    assert checks[1] == ("in stock known", "browse/open", "19", "1", "0.95")
    assert checks[4] == ("never judged", "order/order", "0", "0", "")


def test_csv_has_the_rows_of_each_source_of_test_data() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(shop_result_with_data()))))
    sources = [row for row in rows if row["data"]]
    assert rows[-2:] == sources
    names = ("data", "rows", "rows_used", "rows_repeated", "used_up_second")
    assert [[row[name] for name in names] for row in sources] == [
        ["accounts", "1200", "30", "0", ""],
        ["words", "10", "10", "20", "1"],
    ]
    assert {row["check"] for row in sources} == {""}
    assert rows[8]["check"] == "in stock known"
    assert "rows_used" not in render_csv(shop_result())


def test_csv_without_scenarios_has_no_column_of_them() -> None:
    head = render_csv(results.result()).splitlines()[0].split(",")
    assert not {"scenario", "check", "reached", "iterations_due"} & set(head)


def test_junit_has_a_case_for_each_check() -> None:
    result = shop_result()
    result.checks[2] = replace(result.checks[2], passed=0, failed=6, passed_share=0.0)
    suite = ElementTree.fromstring(render_junit(result))[0]
    cases = {str(case.get("name")): case for case in suite if case.get("classname") == "shop.checks"}
    assert len(cases) == 5
    failure = cases["order/order: accepted"].find("failure")
    assert failure is not None
    assert failure.get("message") == "0 of 6 evaluations passed"
    assert cases["order/order: never judged"].find("skipped") is not None
    assert cases["browse/open: in stock known"].find("failure") is None


def test_junit_has_a_case_for_setup_and_one_for_teardown() -> None:
    suite = ElementTree.fromstring(render_junit(shop_result_with_data()))[0]
    cases = {str(case.get("name")): case for case in suite}
    assert (cases["setup succeeds"].get("classname"), len(suite)) == ("shop.setup", int(suite.get("tests", 0)))
    assert cases["setup succeeds"].findtext("system-out") == "passed · 2 steps in 500 ms"
    failure = cases["teardown succeeds"].find("failure")
    assert failure is not None
    assert failure.get("message") == "failed at teardown/clean: 503 · 1 step in 1.5 s"
    assert (failure.text or "").endswith("\nask why")
    skipped = shop_result().model_copy(update={"teardown": HookFigures(status="skipped", steps=0, seconds=0.0)})
    suite = ElementTree.fromstring(render_junit(skipped))[0]
    assert [case.get("name") for case in suite if case.find("skipped") is not None] == [
        "order/order: never judged",
        "teardown succeeds",
    ]


def test_the_step_summary_has_scenarios_and_failed_checks() -> None:
    text = render_markdown(shop_result())
    assert "| browse | 30 | 8 | 8 | 1.00 s | 3.00 s | 3.00 s | 71.4 % |" in text
    assert "3 of 5 checks passed every time" in text
    assert "| in stock known | browse/open | 19 | 1 | 95.0 % |" in text
    assert "| never judged | order/order | 0 | 0 | - |" in text


def test_the_step_summary_says_what_setup_and_teardown_did() -> None:
    setup = HookFigures(status="passed", steps=2, seconds=0.5)
    teardown = HookFigures(status="failed", steps=1, seconds=1.5, failed_step="teardown/a|b", message="503")
    lines = render_markdown(results.result(setup=setup, teardown=teardown)).splitlines()
    assert "Setup **passed** · 2 steps in 500 ms" in lines
    assert r"Teardown **failed** at teardown/a\|b: 503 · 1 step in 1.5 s" in lines


def test_markdown_lists_failures_with_text_of_the_target_in_code_spans() -> None:
    result = results.result()
    evil = "a `b` | @team <img src=x> http://evil.example"
    failures = [result.failures[0].model_copy(update={"message": evil, "count": 7}), *result.failures[1:]]
    text = render_markdown(result.model_copy(update={"failures": failures}))
    [row] = [line for line in text.splitlines() if "evil.example" in line]
    assert "| `a 'b' \\| @team <img src=x> http://evil.example` |" in row
    assert text.splitlines()[0].startswith("## ")
    assert f"Run `{result.run.id}`" in text
