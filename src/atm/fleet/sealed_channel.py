"""Encryption between two ends of a link whose carrier stores, logs or shows what it carries.

X25519 (RFC 7748) agrees on keys, HKDF-SHA-256 (RFC 5869) makes one per direction, and AES-256-GCM seals the messages,
numbered in order. This keeps what is carried secret from everything that only reads it. It does not detect a carrier
that takes the place of the other end; its own authentication does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealedChannel:
    """One end. Give `public_key` to the other end, and the other's to `agree`; then messages can be sealed."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        self._private = X25519PrivateKey.generate()
        self.public_key = self._private.public_key().public_bytes_raw()
        self._outgoing: AESGCM | None = None
        self._incoming: AESGCM | None = None
        self._sealed = 0
        self._opened = 0

    def agree(self, other_public_key: bytes) -> None:
        """Derive the keys of both directions. Raises ValueError for something that is not a public key."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        shared = self._private.exchange(X25519PublicKey.from_public_bytes(other_public_key))
        self._outgoing = _cipher(shared, sender=self.public_key, receiver=other_public_key)
        self._incoming = _cipher(shared, sender=other_public_key, receiver=self.public_key)

    def seal(self, message: bytes) -> bytes:
        """Encrypt the next message for the other end."""
        assert self._outgoing is not None, "agree first"
        self._sealed += 1
        return self._outgoing.encrypt(self._sealed.to_bytes(_NONCE_BYTES, "big"), message, None)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt the next message of the other end. Raises ValueError for anything else."""
        from cryptography.exceptions import InvalidTag

        assert self._incoming is not None, "agree first"
        try:
            message = self._incoming.decrypt((self._opened + 1).to_bytes(_NONCE_BYTES, "big"), sealed, None)
        except InvalidTag as error:
            raise ValueError("not the next message of the other end") from error
        self._opened += 1
        return message


def _cipher(shared: bytes, sender: bytes, receiver: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    context = b"atm fleet" + sender + receiver
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=None, info=context).derive(shared))
