"""Messages to workers and their answers: every one arrives as it was sent, and anything else is a ValueError."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.base import Command, EngineReport, LaneReport
from atm.fleet import messages
from atm.fleet.frames import frame, read_frame
from atm.models.outcome import StopReason
from tests.examples import examples

REPORT = EngineReport(
    started_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    stop_reason=StopReason.STOPPED,
    window_start_ns=1,
    window_end_ns=2,
    last_finish_ns=3,
    lanes=(LaneReport("shop", 1, 2, StopReason.DURATION, 4),),
    barrier_ns=5,
    worker_lost="a thread",
)
MESSAGES: list[messages.Message] = [
    messages.Describe(),
    messages.ReadClock(),
    messages.CheckReach("shop.example", 8080),
    messages.Prepare(b'{"format": 2}\n\x00'),
    messages.SetSecrets({"token": "ä\n"}),
    messages.Prepare(b"{}", 3),
    messages.Start(2**63),
    messages.Start(5, 2),
    messages.Pull((7, 0)),
    messages.SendCommand(Command.CANCEL),
    messages.SetSecret("token", "new"),
    messages.End(),
]
ANSWERS: list[messages.Answer] = [
    messages.Done(),
    messages.Refused("what", "code", "path", "place", "hint"),
    messages.Description("1", 2, {"native": "3"}, "3.11", "host", "boot", 4, 5, 6),
    messages.ClockReading(2**62),
    messages.Reach("10.0.0.1", 2_000_000, ""),
    messages.Pulled(()),
    messages.Pulled(
        (
            messages.PulledLoad(0, messages.WorkerState.RUNNING, 3, (b"{}", b"\n\n", b"")),
            messages.PulledLoad(1, messages.WorkerState.ENDED, 1, (b"[]",), REPORT),
            messages.PulledLoad(2, messages.WorkerState.ENDED, 1, (), None, messages.Refused("died", "engine_died")),
        )
    ),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message: messages.Message) -> None:
    assert messages.decode_message(messages.encode(message)) == message


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_an_answer_arrives_as_it_was_sent(answer: messages.Answer) -> None:
    assert messages.decode_answer(messages.encode(answer)) == answer


@given(data=st.binary(max_size=200))
@examples(100)
def test_a_message_carries_a_lease_and_other_bytes_have_none(data: bytes) -> None:
    assert messages.lease_of(messages.encode(messages.Pull((1,)), 12)) == 12
    assert messages.decode_message(messages.encode(messages.Pull((1,)), 12)) == messages.Pull((1,))
    assert messages.lease_of(data) == messages.lease_of(messages.encode(messages.Describe())) == 0


def test_the_problem_of_a_refusal_is_the_one_it_was_made_of() -> None:
    refusal = messages.Refused("what", "code", "path", "place", "hint")
    assert messages.Refused.of(refusal.problem) == refusal


@given(data=st.binary(max_size=200) | st.sampled_from([messages.encode(answer)[:-1] for answer in ANSWERS]))
@examples(300)
def test_other_bytes_are_a_value_error(data: bytes) -> None:
    for decode in (messages.decode_message, messages.decode_answer):
        with pytest.raises(ValueError):
            decode(data)


@given(bodies=st.lists(st.binary(max_size=50), max_size=5), cut=st.integers(1, 3))
@examples(200)
def test_frames_are_read_as_written_and_a_broken_one_is_the_end(bodies: list[bytes], cut: int) -> None:
    stream = BytesIO(b"".join(frame(body) for body in bodies) + frame(b"more")[:-cut])
    # A pipe returns what it has, not what was requested.
    read = [read_frame(lambda count: stream.read(min(count, 3))) for _ in range(len(bodies) + 1)]
    assert read == [*bodies, None]
