"""Access for local processes while the installation has no key."""

from __future__ import annotations

import hmac
from enum import StrEnum

from starlette.datastructures import Headers
from starlette.types import Scope

from atm.access.peers import account_name, can_identify, is_admitted, owner_of
from atm.access.token import FILE_NAME, local_token
from atm.config import LocalAuth, Settings
from atm.storage.api_keys import hash_api_key

PEER_OWNER = "peer_owner"
"""Key in a connection's state: the uid of the peer process, None if unknown."""
_FORWARDED = frozenset({"forwarded", "via", "cf-connecting-ip", "cf-ray", "true-client-ip", "fastly-client-ip"})
_FORWARDED_STARTS = ("x-forwarded", "x-real-", "x-original-", "x-client-ip", "x-cluster-client-ip", "x-envoy-")


class LocalMode(StrEnum):
    """How local processes are authenticated."""

    ACCOUNT = "account"
    TOKEN = "token"
    OFF = "off"


class LocalAccess:
    """The local access rule of a server."""

    def __init__(self, settings: Settings) -> None:
        """Create the token if the mode needs one. Raises SettingsError, OSError."""
        self.mode = _mode(settings.auth)
        self._token_file = settings.data_dir / FILE_NAME
        self.token = local_token(settings.data_dir) if self.mode is LocalMode.TOKEN else None
        self._token_hash = hash_api_key(self.token) if self.token else None

    def admits(self, scope: Scope) -> bool:
        """Whether the peer process has access without a token."""
        if self.mode is LocalMode.OFF:
            return True
        return self.mode is LocalMode.ACCOUNT and is_admitted(_owner(scope))

    def knows(self, key_hash: str) -> bool:
        """Whether this is the hash of the token."""
        return self._token_hash is not None and hmac.compare_digest(key_hash, self._token_hash)

    @property
    def who(self) -> str:
        """Description of the processes with access, for the log and for refusals."""
        if self.mode is LocalMode.OFF:
            return "every process and every user of this machine (ATM_AUTH=off)"
        if self.mode is LocalMode.TOKEN:
            return f"processes of this machine that send the token in {self._token_file}"
        own = account_name()
        return f"processes of this machine that run as {own}{'' if own == 'root' else ' or root'}"


def came_through_a_proxy(headers: Headers) -> bool:
    """Whether a proxy forwarded this request; one that adds no headers cannot be detected."""
    return any(name in _FORWARDED or name.startswith(_FORWARDED_STARTS) for name in headers)


def _mode(setting: LocalAuth) -> LocalMode:
    if setting is LocalAuth.OFF:
        return LocalMode.OFF
    return LocalMode.ACCOUNT if setting is LocalAuth.AUTO and can_identify() else LocalMode.TOKEN


def _owner(scope: Scope) -> int | None:
    state = scope.get("state", {})
    if PEER_OWNER in state:
        owner: int | None = state[PEER_OWNER]
        return owner
    # The app runs under another server, which has no connection state.
    client, server = scope.get("client"), scope.get("server")
    return owner_of((client[0], client[1]), (server[0], server[1])) if client and server and server[1] else None
