"""Recognise names of credentials: headers, variables, URL parameters, body fields.

A name is split into words (`X-Auth-Key`, `clientSecret` and `db.password` have two each) and judged by the last ones.
"""

from __future__ import annotations

import re
from functools import lru_cache

_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")
_LAST = frozenset({
    "password", "passwords", "passwd", "passphrase", "passcode", "passwort", "kennwort", "contraseña",
    "contrasena", "senha", "wachtwoord", "пароль", "密码", "口令", "パスワード", "pass", "pwd", "pswd", "psw", "pw",
    "pin", "secret", "secrets", "token", "tokens", "jwt", "jws", "otp", "totp", "hotp", "sig", "signature",
    "hmac", "credential", "credentials", "cred", "creds", "auth", "authorization", "authentication", "bearer",
    "cookie", "cookies", "session", "sid", "sessid", "csrf", "xsrf", "cvv", "cvc", "assertion", "mnemonic",
    "dsn", "apikey", "passkey", "dpop",
})  # fmt: skip
_ENDINGS = (
    "password", "passwd", "passphrase", "passcode", "passwort", "motdepasse", "secret", "token", "jwt",
    "credentials", "apikey", "accesskey", "privatekey", "secretkey", "authkey", "signingkey", "encryptionkey",
    "masterkey", "sharedkey", "accountkey", "subscriptionkey", "licensekey", "sessionkey", "sessionid", "sessid",
    "secretid", "connectionstring", "connstr", "connstring", "seedphrase", "recoveryphrase", "codeverifier",
    "samlresponse", "pwd", "authcode", "otpcode", "dbpass", "userpass", "rootpass", "adminpass", "mypass",
    "smtppass", "ftppass", "sqlpass", "httppass", "proxypass",
)  # fmt: skip
_KEYS = frozenset({
    "api", "access", "private", "secret", "auth", "authentication", "authorization", "account", "shared",
    "signing", "encryption", "encrypt", "decryption", "crypto", "cipher", "master", "license", "licence",
    "service", "admin", "root", "app", "application", "client", "consumer", "customer", "subscription",
    "function", "functions", "storage", "host", "webhook", "session", "ssh", "gpg", "pgp", "rsa", "ec", "dsa",
    "hmac", "aes", "jwt", "token", "bearer", "security", "user", "server", "deploy", "write", "read", "publish",
    "publishable", "integration", "sas", "vault", "merchant", "partner", "developer", "dev", "live", "prod",
    "production", "management", "ingest", "ingestion", "symmetric", "kms", "install", "invite", "wallet",
    "activation", "product", "maps",
})  # fmt: skip
"""Words before `key` that make it a credential; there are also keys of caches, rows and issues."""
_CODES = frozenset({
    "auth", "authorization", "otp", "totp", "mfa", "2fa", "fa", "twofa", "verification", "verify", "security",
    "access", "recovery", "backup", "sms", "login", "pass", "reset", "activation", "time", "device",
})  # fmt: skip
_PUBLIC_KEYS = frozenset({
    "idempotency", "websocket", "socket", "cache", "surrogate", "partition", "routing", "sort", "public",
    "correlation", "primary", "foreign", "deduplication", "dedup", "row", "group", "message", "trace", "object",
    "lookup",
})  # fmt: skip
"""Headers whose key is not secret."""
_QUALIFIERS = frozenset({
    "value", "text", "plain", "plaintext", "raw", "b64", "base64", "hex", "encoded", "header", "string", "str",
    "confirmation", "confirm", "confirmed", "again", "repeat", "repeated", "verify", "verification", "new",
    "old", "current", "hash", "sha1", "sha256", "sha512", "md5",
})  # fmt: skip
"""Words after the decisive one: `password_confirmation`, `X-Hub-Signature-256`."""


@lru_cache(maxsize=4096)
def is_sensitive(name: str) -> bool:
    """Return whether a variable, parameter or field of this name holds a credential."""
    words = _words(name)
    if not words:
        return False
    if _is_secret(words):
        return True
    while len(words) > 1 and (words[-1] in _QUALIFIERS or words[-1][-1].isdigit()):
        words[-1] = _without_number(words[-1])
        if words[-1] in _QUALIFIERS or words[-1] in ("", "v"):
            words.pop()
        if _is_secret(words):
            return True
    return _is_secret([*words[:-1], _without_number(words[-1])])


@lru_cache(maxsize=4096)
def is_sensitive_header(name: str) -> bool:
    """Return whether a header of this name holds a credential: those above, and nearly every name ending in `key`."""
    if is_sensitive(name):
        return True
    words = _words(name)
    return len(words) > 1 and words[-1] == "key" and not _PUBLIC_KEYS & {words[-2]}


def is_plural(name: str) -> bool:
    """Return whether a number under this name counts credentials instead of being one: `tokens: 100`."""
    return name.lower().endswith("s")


def _words(name: str) -> list[str]:
    if "%" in name:
        from urllib.parse import unquote

        name = unquote(name)
    return [word.lower() for word in _BORDER.split(name[-200:]) if word]


def _without_number(word: str) -> str:
    """Return the word without the digits at its end, those of other scripts included (`²`, `٣`)."""
    while word and word[-1].isdigit():
        word = word[:-1]
    return word


def _is_secret(words: list[str]) -> bool:
    if not words:
        return False
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    if last in _LAST or (last == "key" and before in _KEYS) or (last in ("code", "codes") and before in _CODES):
        return True
    return "".join(words[-3:]).endswith(_ENDINGS)
