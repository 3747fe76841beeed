"""The certificate that a server of ours shows, read again from its files when they were renewed."""

from __future__ import annotations

import logging
import ssl
import time
from pathlib import Path

from atm.config import Settings
from atm.errors import Problem, SettingsError

log = logging.getLogger("atm.http")

CHECK_SECONDS = 1.0
"""How often the files are looked at, at most, and only when a connection opens."""
Stamp = tuple[tuple[int, int, int], ...]


class ServerCertificate:
    """A certificate with its chain, and its key, as PEM files.

    Connections that open after the files were renewed get the new certificate. A pair that cannot be used, as while
    only one of the two files has been replaced, changes nothing but a line of the log.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises SettingsError `bad_certificate` for files that cannot be read or do not belong together."""
        self.certificate = certificate
        self.key = key
        self._stamp = self._look()
        self._context = self._load()
        self._looked = time.monotonic()

    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        now = time.monotonic()
        if now - self._looked >= CHECK_SECONDS:
            self._looked = now
            self._renew()
        return self._context

    def _renew(self) -> None:
        stamp = self._look()
        if stamp is None or stamp == self._stamp:
            # A file that is missing is being replaced.
            return
        self._stamp = stamp
        try:
            self._context = self._load()
        except SettingsError as error:
            log.error("the certificate was not renewed, and the one before is still in use: %s", error)
            return
        log.info("the certificate was renewed: %s", self.certificate)

    def _look(self) -> Stamp | None:
        try:
            statuses = [path.stat() for path in (self.certificate, self.key)]
        except OSError:
            return None
        return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in statuses)

    def _load(self) -> ssl.SSLContext:
        for path, variable in ((self.certificate, "ATM_TLS_CERT"), (self.key, "ATM_TLS_KEY")):
            try:
                path.read_bytes()
            except OSError as error:
                raise _bad(f"{variable} names a file that cannot be read: {error.strerror}", path, variable) from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key, _no_password)
        except (ssl.SSLError, ValueError) as error:
            raise _bad(_reason(error), self.certificate, "ATM_TLS_CERT") from error
        return context


def certificate_of(settings: Settings) -> ServerCertificate | None:
    """The certificate that the settings name; null where a server of ours speaks no TLS. Raises SettingsError."""
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        missing = "ATM_TLS_CERT" if settings.tls_cert is None else "ATM_TLS_KEY"
        what = "a certificate and its key belong together, and only one of them is set"
        raise SettingsError(Problem(what, "bad_certificate", path=missing, hint=f"set {missing} too"))
    return ServerCertificate(settings.tls_cert, settings.tls_key)


def _bad(what: str, path: Path, variable: str) -> SettingsError:
    return SettingsError(Problem(what, "bad_certificate", path=variable, place=str(path)))


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    if isinstance(error, ssl.SSLError):
        return f"certificate and key are no PEM that OpenSSL can read ({reason or 'no certificate or no key in it'})"
    return str(error)


def _no_password() -> str:
    # Without this OpenSSL would ask at the terminal.
    raise ValueError("the key is encrypted, and a server has no one to ask for its password")
