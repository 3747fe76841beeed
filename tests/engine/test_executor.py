from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atm.engine.base import Control
from atm.engine.executor import Execution
from atm.errors import CapabilityError, UnreachableError
from atm.library import compile_spec, run, run_sync
from atm.metrics.interval import Interval
from atm.models.outcome import RunStatus, StopReason
from atm.models.run import Measurement, RunResult
from atm.testing import TargetServer
from tests.steadiness import allowed


def spec(target: TargetServer, path: str = "/fixed", **fields: Any) -> dict[str, Any]:
    return {"name": "executor", "url": target.url + path, **fields}


def test_the_result_agrees_with_the_targets_own_record(target: TargetServer) -> None:
    result = run_sync(spec(target, "/status?ok=200&other=503&share=0.2&seed=4", total_requests=500))
    stats = target.settled_stats()
    assert result.metrics.status_code_counts == stats.statuses
    assert stats.statuses[503] > 50
    assert (result.run.status, result.run.stop_reason) == (RunStatus.COMPLETED, StopReason.TOTAL)
    assert result.metrics.total_requests == stats.received == 500


def test_an_aborting_threshold_ends_the_run_as_completed_but_not_passed(target: TargetServer) -> None:
    rule = {"expression": "error_rate < 1%", "abort": True, "abort_after": 1, "min_samples": 10}
    result = run_sync(
        spec(target, "/status/503", requests_per_second=100, duration=30, thresholds={"expressions": [rule]})
    )
    assert (result.run.status, result.run.stop_reason) == (RunStatus.COMPLETED, StopReason.THRESHOLD)
    assert not result.thresholds[0].passed
    # On a busy machine the measurement may be invalid, and then nothing is said about the target.
    invalid = result.verdict.measurement is Measurement.INVALID
    assert (result.verdict.passed, result.verdict.exit_code) == ((None, 4) if invalid else (False, 99))
    assert result.metrics.duration_seconds < 1 + allowed(2)
    assert result.thresholds[0].message.startswith("ended the run at 00:0")


def test_a_run_that_is_stopped_reports_what_it_measured(target: TargetServer) -> None:
    control = Control()

    def stop_after_a_second(_interval: Interval) -> None:
        control.stop()

    result = run_sync(
        spec(target, requests_per_second=50, duration=30), on_interval=stop_after_a_second, control=control
    )
    assert (result.run.status, result.run.stop_reason) == (RunStatus.COMPLETED, StopReason.STOPPED)
    assert result.verdict.exit_code == 130
    assert result.metrics.successful_requests == result.metrics.total_requests == target.settled_stats().received >= 50


def test_cancelling_whoever_awaits_a_run_cancels_the_run(target: TargetServer) -> None:
    async def scenario() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(
            run(spec(target, requests_per_second=50, duration=30), on_interval=lambda _: started.set())
        )
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    before = target.settled_stats().received
    assert target.settled_stats().received == before


def test_a_name_that_does_not_exist_is_told_before_anything_is_sent() -> None:
    with pytest.raises(UnreachableError) as caught:
        run_sync({"name": "nowhere", "url": "http://nowhere.invalid:8080/"})
    assert str(caught.value) == (
        'error: the name "nowhere.invalid" does not exist [dns_not_found]\n'
        "  at: url\n"
        "  hint: Check the spelling, or send it elsewhere: `--connect-to nowhere.invalid:8080:ADDRESS:PORT`"
    )


def test_each_name_that_does_not_exist_is_told_at_its_endpoint() -> None:
    endpoints = [{"name": name, "url": f"http://{name}.invalid/"} for name in ("a", "b")]
    with pytest.raises(UnreachableError) as caught:
        run_sync({"name": "nowhere", "endpoints": endpoints})
    assert [problem.path for problem in caught.value.problems] == ["endpoints[0].url", "endpoints[1].url"]


def test_an_engine_that_is_not_there_is_an_error_when_it_was_asked_for(target: TargetServer) -> None:
    with pytest.raises(CapabilityError, match="the asyncio engine cannot do HTTP/2"):
        Execution(compile_spec(spec(target, http_version="2", engine="asyncio")))


def test_another_run_on_the_host_makes_the_measurement_suspect(target: TargetServer) -> None:
    execution = Execution(compile_spec(spec(target, total_requests=20)), other_run="abc123")
    result = asyncio.run(execution.run())
    assert result.verdict.measurement is not Measurement.VALID
    assert "other_run" in [reason.code for reason in result.verdict.reasons]


def test_a_result_reads_back_equal_from_its_json(target: TargetServer) -> None:
    result = run_sync(spec(target, "/status/404", total_requests=30, thresholds=["adjusted p99 < 1s"]))
    assert '"adjusted_latency_p99_ms":"Infinity"' in result.model_dump_json()
    assert RunResult.model_validate_json(result.model_dump_json()) == result


def test_a_file_and_a_url_are_specs_too(target: TargetServer, tmp_path: Any) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(f"name: shop\nurl: {target.url}/fixed\ntotal_requests: 5\n")
    assert run_sync(file).run.name == "shop"
    assert run_sync(f"{target.url}/fixed").metrics.total_requests == 100


def test_rates_are_those_of_the_window_of_each_load(target: TargetServer) -> None:
    document = {
        "name": "shop",
        "base_url": target.url,
        "duration": "1200ms",
        "scenarios": {
            "browse": {
                "load": {"rate": 50},
                "steps": [{"GET": "/fixed", "name": "list"}, {"GET": "/fixed", "name": "open"}],
            },
            "order": {"load": {"rate": 40}, "start_after": "700ms", "steps": [{"GET": "/fixed", "name": "order"}]},
        },
    }
    result = run_sync(document)
    browse, order = result.scenarios
    assert (browse.started, order.started) == (60, 20)
    rates = [figures.achieved_rate for figures in result.endpoint_metrics]
    assert rates == pytest.approx([50, 50, 40])
    # Over the window of the whole run there would be 20 in 1.2 s at most.
    assert 20 / 1.2 < order.iterations_per_second <= 40.0
    assert result.metrics.duration_seconds == pytest.approx(1.2)
