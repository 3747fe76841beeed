"""Sign webhooks after the Standard Webhooks specification (standardwebhooks.com), for which receivers find libraries.

The headers:

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
    """Return the three headers, or only the first two without a secret."""
    result = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if secret:
        result["webhook-signature"] = signature(message_id, timestamp, body, secret)
    return result


def signature(message_id: str, timestamp: int, body: bytes, secret: str) -> str:
    """Return `v1,…`; the key is the secret itself, or decoded from base64 after the prefix `whsec_`."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(_key(secret), content, hashlib.sha256).digest()).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass  # a plain secret that happens to start with the prefix
    return secret.encode()
