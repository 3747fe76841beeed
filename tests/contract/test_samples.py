from __future__ import annotations

from collections import Counter

from atm.engine.base import Engine
from atm.models.outcome import Outcome
from atm.plan.load_plan import Sampling
from atm.testing import TargetServer
from tests.contract.engine_runs import received, run
from tests.contract.plans import ANY_STATUS, closed, http, plan, step


def test_the_first_of_each_endpoint_are_kept_whole(engine: Engine, target: TargetServer) -> None:
    steps = (
        step("/echo?a={{request_number}}", method="POST", body="hällo", headers=(("X-A", "b"),)),
        step("/chunked?chunks=3&size=4"),
        step("/gzip?bytes=300"),
    )
    made = plan(http(target), *steps, load=closed(2), total=60, sampling=Sampling(2, 3, 0, 10_240))
    ran = run(engine, made)
    assert Counter((sample.endpoint, sample.reason) for sample in ran.samples) == {
        (0, "first"): 2, (1, "first"): 2, (2, "first"): 2,
    }  # fmt: skip
    sample = next(sample for sample in ran.samples if sample.endpoint == 0)
    assert sample.url == f"http://127.0.0.1:{target.port}/echo?a={sample.request_number}"
    assert sample.request.head == f"POST /echo?a={sample.request_number} HTTP/1.1"
    assert sample.request.headers == (("Host", "target.test"), ("X-A", "b"), ("Content-Length", "6"))
    assert sample.request.body == "hällo"
    assert sample.request.body_bytes == 6
    assert sample.response
    assert sample.response.head.startswith("HTTP/1.1 200")
    assert '"method":"POST"' in sample.response.body.replace(" ", "")
    assert sample.status == 200
    assert sample.outcome is Outcome.OK
    assert 0 <= sample.intended_ns <= sample.actual_ns <= (sample.first_byte_ns or 0) <= sample.finish_ns
    chunked = next(sample for sample in ran.samples if sample.endpoint == 1).response
    assert chunked
    assert len(chunked.body) == chunked.body_bytes == 12
    unpacked = next(sample for sample in ran.samples if sample.endpoint == 2).response
    assert unpacked
    assert len(unpacked.body) == 300


def test_bodies_are_cut_and_their_size_is_told(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/bytes/500000"), total=1, sampling=Sampling(body_bytes=1000))
    response = run(engine, made).samples[0].response
    assert response
    assert len(response.body) == 1000
    assert response.body_bytes == 500_000


def test_a_few_failures_of_each_kind_are_kept(engine: Engine, target: TargetServer) -> None:
    steps = (step("/status/503"), step("/close"), step("/never", timeout=0.05), step("/half"))
    made = plan(http(target), *steps, load=closed(4), total=48, sampling=Sampling(0, 3, 0))
    ran = run(engine, made)
    kinds = Counter((sample.endpoint, sample.outcome, sample.reason) for sample in ran.samples)
    assert kinds == {
        (0, Outcome.UNEXPECTED_STATUS, "failure"): 3,
        (1, Outcome.CONNECTION_CLOSED, "failure"): 3,
        (2, Outcome.TIMEOUT, "failure"): 3,
        (3, Outcome.CONNECTION_CLOSED, "failure"): 3,
    }
    by_endpoint = {sample.endpoint: sample for sample in ran.samples}
    assert by_endpoint[0].response
    assert by_endpoint[0].message == "503, expected 2xx"
    assert by_endpoint[1].response is None
    assert by_endpoint[2].response is None
    assert by_endpoint[3].response
    assert by_endpoint[3].first_byte_ns


def test_the_slowest_are_among_the_samples(engine: Engine, target: TargetServer) -> None:
    steps = (step("/fixed"), step("/bimodal?fast_ms=1&slow_ms=40&share=0.02&seed=3"))
    made = plan(http(target), *steps, load=closed(4), total=600, sampling=Sampling(0, 0, 5))
    ran = run(engine, made)
    slowest = sorted((sample.finish_ns - sample.intended_ns for sample in ran.samples), reverse=True)[:5]
    total = ran.total().response_ok
    fifth = total.percentile(100 * (total.total - 4) / total.total) or 0
    assert min(slowest) >= fifth * 0.998
    assert all(sample.reason == "slowest" for sample in ran.samples)
    assert len(ran.samples) <= 10


def test_secrets_are_masked_wherever_they_stand(engine: Engine, target: TargetServer) -> None:
    secrets = {"key": 'se"same-1', "short": "ab", "session": "s3ss10n"}
    one = step(
        "/echo?k={{secret:key}}&s={{secret:short}}",
        method="POST",
        headers=(
            ("Authorization", "Bearer literal-token"),
            ("X-Custom", "{{secret:short}}"),
            ("Cookie", "sid={{secret:session}}"),
            ("X-Plain", "shown"),
        ),
        body='{"key": "{{secret:key}}"}',
        expected=ANY_STATUS,
    )
    ran = run(engine, plan(http(target), one, load=closed(1), total=2), secrets)
    for sample in ran.samples:
        assert dict(sample.request.headers)["Authorization"] == "***"
        assert dict(sample.request.headers)["X-Custom"] == "***"
        assert dict(sample.request.headers)["Cookie"] == "***"
        assert dict(sample.request.headers)["X-Plain"] == "shown"
        assert sample.request.body == '{"key": "***"}'
        assert sample.url.endswith("/echo?k=***&s=***")
        assert sample.response
        # The target echoes everything that it got.
        assert "shown" in sample.response.body
        for secret in ("same-1", "s3ss10n"):
            assert secret not in str(sample)
    assert b"same-1" in (target.captured()[0].raw or b"")


def test_a_secret_is_masked_after_it_was_renewed(engine: Engine, target: TargetServer) -> None:
    one = step("/delay/20?t={{secret:token}}")
    made = plan(http(target), one, load=closed(1), total=14, sampling=Sampling(1000, 0, 0))
    renew = (received(target, 4), lambda control: control.set_secret("token", "new-token"))
    ran = run(engine, made, {"token": "old-token"}, once=renew)
    assert len(ran.samples) == 14
    assert not any("token" in sample.url.partition("?t=")[2] for sample in ran.samples)
    routes = b"".join(request.raw or b"" for request in target.captured())
    assert b"old-token" in routes
    assert b"new-token" in routes
