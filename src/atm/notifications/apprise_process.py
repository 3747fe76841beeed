"""The process that sends one message through Apprise: `python -m atm.notifications.apprise_process`.

Apprise services open their own connections. An audit hook, which cannot be removed, checks every name lookup and every
connection against the installation's target rules and forbids starting programs; proxies from the environment are
removed. Reads one JSON object from standard input and writes the reason of a failure as one line to standard output.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import ssl
import sys
from typing import Any

from atm.plan.targets import TargetRules

_REFUSED = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"})
MAXIMUM_MEMORY_BYTES = 512 * 1024**2
MAXIMUM_CPU_SECONDS = 60
NOT_INSTALLED = "Apprise is not installed where the agent runs: pip install 'api-test-machine[apprise]'"


class AuditHook:
    """Audit hook that refuses lookups, connections, files and programs that the rules do not allow."""

    def __init__(self, rules: TargetRules) -> None:
        self._rules = rules
        self._name = ""
        self.refusal = ""
        """The reason of the first refusal."""

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            self._name = _text(arguments[0])
            self._refuse(self._rules.refusal_of_name(self._name) if self._name else "")
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = arguments[1]
            # A path is a Unix socket: a message bus, or the system log.
            host = str(address[0]) if isinstance(address, tuple) and address else ""
            self._refuse(
                self._rules.refusal(self._name or host, host) if host else f"{address!r} is not a network address"
            )
        elif event == "open":
            self._refuse("" if _may_be_opened(arguments[0]) else "this service reads or writes files")
        elif event in _REFUSED:
            self._refuse("this service starts programs")
        elif event.startswith("syslog."):
            self._refuse("this service writes to the system log")

    def _refuse(self, refusal: str) -> None:
        if refusal:
            self.refusal = self.refusal or refusal
            raise PermissionError(refusal)


def _may_be_opened(path: Any) -> bool:
    """Allow modules of this program and its libraries, certificates, time zones, and open file descriptors."""
    if isinstance(path, int):
        return True
    real_path = os.path.realpath(os.fsdecode(path))
    return real_path.startswith(_READABLE) or real_path in _READABLE_FILES


def _readable() -> tuple[str, ...]:
    paths = ssl.get_default_verify_paths()
    entries = [sys.prefix, sys.base_prefix, *sys.path, paths.capath, paths.openssl_capath, "/usr/share", "/usr/lib"]
    return tuple(f"{os.path.realpath(entry)}{os.sep}" for entry in entries if entry and os.path.isabs(entry))


_READABLE = _readable()
_READABLE_FILES = frozenset(
    os.path.realpath(path)
    for path in (ssl.get_default_verify_paths().cafile, os.environ.get("SSL_CERT_FILE"), "/etc/mime.types", os.devnull)
    if path
)


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")


class _LastWarning(logging.Handler):
    """Keep the last warning: Apprise reports failures only to its log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def send(url: str, title: str, body: str, kind: str, rules: TargetRules) -> tuple[str, bool]:
    """Send the message; return the reason of a failure ("" for success) and whether the failure is final."""
    try:
        import apprise
    except ImportError:
        return NOT_INSTALLED, True
    warnings = _LastWarning()
    # Before `instantiate`: a URL may name files, which services read in their constructors.
    hook = AuditHook(rules)
    sys.addaudithook(hook)
    logging.getLogger("apprise").addHandler(warnings)
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None and hook.refusal:
        return hook.refusal, True
    if service is None:
        return "Apprise has no service for this URL", True
    sender = apprise.Apprise()
    sender.add(service)
    if sender.notify(title=title, body=body, notify_type=kind, body_format="text"):
        return "", False
    if hook.refusal:
        return hook.refusal, False
    # Its messages may repeat parts of the URL, which are secrets.
    secret = any(part in warnings.text for part in url.partition("://")[2].split("/") if len(part) > 3)
    return warnings.text[:300] if warnings.text and not secret else "the service did not accept the message", False


def _limit_resources() -> None:
    """Limit memory and CPU time, so that a response that decompresses to a huge size only ends this process."""
    resource.setrlimit(resource.RLIMIT_DATA, (MAXIMUM_MEMORY_BYTES, MAXIMUM_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAXIMUM_CPU_SECONDS, MAXIMUM_CPU_SECONDS))


def main() -> int:
    """Send the message from standard input; return 0 when sent, 1 for a failure to retry, 2 for a final one."""
    _limit_resources()
    request = json.loads(sys.stdin.buffer.readline())
    reason, final = send(
        request["url"], request["title"], request["body"], request["kind"], TargetRules(tuple(request["allowed"]))
    )
    sys.stdout.write(f"{reason}\n" if reason else "")
    return (2 if final else 1) if reason else 0


if __name__ == "__main__":
    sys.exit(main())
