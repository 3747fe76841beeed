"""TLS settings of a plan as an `ssl.SSLContext`, for the asyncio engine and token servers."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping

from atm.errors import EngineError, Problem
from atm.plan.client_key import key_problem
from atm.plan.connections import Tls


def client_context(tls: Tls, secrets: Mapping[str, str]) -> ssl.SSLContext:
    """Build a client context: the system's roots, the plan's own CA, its certificate, or no verification at all.

    Raises EngineError when a certificate or key cannot be read.
    """
    context = ssl.create_default_context()
    if tls.ca_pem:
        try:
            context.load_verify_locations(cadata=tls.ca_pem)
        except (ssl.SSLError, ValueError) as error:
            raise EngineError(
                Problem(
                    what=f"the CA of the spec is not a PEM certificate: {error}",
                    code="bad_ca",
                    path="tls.ca",
                    hint="It starts with -----BEGIN CERTIFICATE-----",
                )
            ) from error
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate_pem:
        if problem := key_problem(tls.certificate_pem, secrets[tls.key_slot] if tls.key_slot else tls.certificate_pem):
            raise EngineError(problem)
        _load_certificate(context, tls.certificate_pem, secrets[tls.key_slot] if tls.key_slot else "")
    return context


def _load_certificate(context: ssl.SSLContext, certificate_pem: str, key_pem: str) -> None:
    # `ssl` reads certificates from files only; this file is readable by its owner alone and deleted at once.
    descriptor, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{certificate_pem}\n{key_pem}")
        # Without a password callback, OpenSSL would prompt at the terminal.
        context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError) as error:
        raise EngineError(
            Problem(
                what=f"the client certificate or its key cannot be used: {error}",
                code="bad_client_certificate",
                path="tls.cert",
                hint="Both are PEM text, and the key belongs to the certificate and has no passphrase",
            )
        ) from error
    finally:
        os.unlink(path)
