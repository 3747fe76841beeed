"""The signature of a webhook, as the Standard Webhooks specification has it (standardwebhooks.com), so that whoever
receives one finds a library for it.

    webhook-id         the delivery, the same for every attempt
    webhook-timestamp  Unix seconds of this attempt
    webhook-signature  v1,<base64 of HMAC-SHA-256 over "id.timestamp.body">
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"


def headers(message_id: str, timestamp: int, body: bytes, secret: str | None) -> dict[str, str]:
    """The three headers; without a secret the first two."""
    found = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if secret:
        found["webhook-signature"] = signature(message_id, timestamp, body, secret)
    return found


def signature(message_id: str, timestamp: int, body: bytes, secret: str) -> str:
    """`v1,…`: the key is the secret's bytes, or what is base64 after `whsec_`."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(_key(secret), content, hashlib.sha256).digest()).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass  # a text that only begins like one
    return secret.encode()
