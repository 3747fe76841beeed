"""Events as JSON: infinite figures, and fields of later versions."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

from atm.metrics.collector import Collector
from atm.metrics.live_status import LiveStatus
from atm.models.events import EVENTS, IntervalEvent, event_json
from atm.models.outcome import Outcome
from atm.runs import events
from tests.metrics.seconds import endpoint, second


def interval_event() -> IntervalEvent:
    """The event of a second in which something failed."""
    collector = Collector(["GET /users"])
    collector.add(second(0, endpoint(0, [10.0], failures={Outcome.TIMEOUT: 1})))
    return events.interval(LiveStatus(collector.snapshot()), 1, datetime(2026, 1, 1, tzinfo=UTC))


def test_an_event_reads_back_from_its_json() -> None:
    event = interval_event()
    read = EVENTS.validate_json(event_json(event))
    assert isinstance(read, IntervalEvent)
    assert read.sequence == 1
    document = {**events.to_data(event), "kind": "interval", "sequence": 1, "at": "2026-01-01T00:00:00Z"}
    assert json.loads(event_json(event)) == document
    assert "kind" not in events.to_data(event)


def test_an_infinite_figure_is_a_text() -> None:
    text = event_json(interval_event()).replace('"latency_p99_ms":2', '"latency_p99_ms":"Infinity","was":2')
    event = EVENTS.validate_json(text)
    assert isinstance(event, IntervalEvent)
    assert event.latency_p99_ms == event.so_far.latency_p99_ms == event.so_far.endpoints[0].latency_p99_ms == math.inf
    again = json.loads(event_json(event))
    shown = (again, again["so_far"], again["so_far"]["endpoints"][0])
    assert [figures["latency_p99_ms"] for figures in shown] == ["Infinity"] * 3
    assert events.to_data(event)["latency_p99_ms"] == "Infinity"


def test_fields_of_a_later_version_are_ignored() -> None:
    document = json.loads(event_json(interval_event()))
    later = {**document, "later": 1, "so_far": {**document["so_far"], "later": 2}}
    assert EVENTS.validate_python(later) == EVENTS.validate_python(document)
