"""Check that a client's private key can be used with its certificate. Pure; imports cryptography when called."""

from __future__ import annotations

import re

from atm.errors import Problem

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_PKCS12 = re.compile(rb"\A\x30(?:\x80|\x82..|\x83...|\x84....|[\x00-\x7f]|\x81.)\x02\x01\x03", re.DOTALL)


def is_pkcs12(content: bytes) -> bool:
    """Return whether a file holds certificate and key as PKCS #12 (`.p12`, `.pfx`)."""
    return _PKCS12.match(content) is not None


def key_problem(certificate_pem: str, key_pem: str) -> Problem | None:
    """Return why TLS cannot use the key with the certificate (the first in `certificate_pem`); None if it can."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    written = _KEY.search(key_pem)
    if written is None:
        return _problem("not a PEM key", "It starts with -----BEGIN PRIVATE KEY-----")
    if "ENCRYPTED" in written[1] or "Proc-Type: 4,ENCRYPTED" in written[0]:
        hint = "Write one without: `openssl pkey -in client.key -out client-plain.key`"
        return _problem("the key is encrypted; give it without a passphrase", hint)
    try:
        key = load_pem_private_key(written[0].encode(), None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
        return _problem(f"unreadable PEM key: {reason}", "Check it: `openssl pkey -in client.key -check`")
    first = _CERTIFICATE.search(certificate_pem)
    try:
        certificate = x509.load_pem_x509_certificate((first[0] if first else certificate_pem).encode())
        owner = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        hint = "It starts with -----BEGIN CERTIFICATE-----"
        return Problem(f"the certificate cannot be read: {reason}", "bad_client_certificate", "tls.cert", hint=hint)
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != owner:
        hint = "If the file holds a chain, the client's own certificate must be first"
        return _problem("the key does not belong to the certificate", hint)
    return None


def _problem(what: str, hint: str) -> Problem:
    return Problem(what, "bad_client_key", "tls.key", hint=hint)
