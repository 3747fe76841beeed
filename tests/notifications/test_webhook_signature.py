from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atm.notifications.webhook_signature import headers, signature

# The example of the Standard Webhooks specification.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'


def test_the_signature_is_that_of_the_standard() -> None:
    assert signature(ID, AT, BODY, SECRET) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_there_is_no_signature() -> None:
    assert headers(ID, AT, BODY, None) == {"webhook-id": ID, "webhook-timestamp": str(AT)}
    assert headers(ID, AT, BODY, SECRET)["webhook-signature"].startswith("v1,")


@given(secret=st.text(min_size=8, max_size=80), body=st.binary(max_size=200))
def test_every_part_and_every_secret_changes_it(secret: str, body: bytes) -> None:
    known = signature(ID, AT, body, secret)
    assert signature(ID, AT + 1, body, secret) != known
    assert signature(f"{ID}x", AT, body, secret) != known
    assert signature(ID, AT, body + b" ", secret) != known
