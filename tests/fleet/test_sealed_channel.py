"""Encryption of what a carrier of messages could keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.fleet.sealed_channel import SealedChannel
from tests.examples import examples

OVERHEAD_BYTES = 16


def agreed() -> tuple[SealedChannel, SealedChannel]:
    one, other = SealedChannel(), SealedChannel()
    one.agree(other.public_key)
    other.agree(one.public_key)
    return one, other


@examples(100)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=200)), max_size=10))
def test_messages_arrive_in_both_directions_and_are_not_readable(messages: list[tuple[bool, bytes]]) -> None:
    one, other = agreed()
    for forth, message in messages:
        sender, receiver = (one, other) if forth else (other, one)
        sealed = sender.seal(message)
        assert len(sealed) == len(message) + OVERHEAD_BYTES
        assert len(message) < 4 or message not in sealed
        assert receiver.open(sealed) == message


def test_a_message_is_opened_once_in_order_unchanged_and_by_its_receiver() -> None:
    one, other = agreed()
    first, second = one.seal(b"first"), one.seal(b"second")
    for wrong in (second, first[:-1], bytes([first[0] ^ 1]) + first[1:], b""):
        with pytest.raises(ValueError, match="not the next message"):
            other.open(wrong)
    with pytest.raises(ValueError, match="not the next message"):
        one.open(first)
    assert other.open(first) == b"first"
    with pytest.raises(ValueError, match="not the next message"):
        other.open(first)
    assert other.open(second) == b"second"


def test_a_third_one_cannot_read_with_the_public_keys() -> None:
    one, other = agreed()
    listener = SealedChannel()
    listener.agree(one.public_key)
    sealed = one.seal(b"secret")
    with pytest.raises(ValueError, match="not the next message"):
        listener.open(sealed)
    assert other.open(sealed) == b"secret"


def test_what_is_not_a_public_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SealedChannel().agree(b"short")
    with pytest.raises(ValueError, match="shared key"):
        SealedChannel().agree(bytes(32))
