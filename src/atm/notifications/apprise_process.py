"""Sends one message through Apprise, in a process of its own: `python -m atm.notifications.apprise_process`.

Apprise dials by itself, as its hundred services see fit. Here every name that is looked up and every address that is
dialled passes the installation's rules, by an audit hook that cannot be taken off again; programs are not started, and
the environment's proxies are gone. Reads one JSON object from standard input, writes one line to standard output:
nothing, or why it failed.
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


class Watch:
    """The audit hook: remembers the name that is being looked up, and refuses what the rules refuse."""

    def __init__(self, rules: TargetRules) -> None:
        self._rules = rules
        self._name = ""
        self.refusal = ""
        """Why something was refused, the first time."""

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            self._name = _text(arguments[0])
            self._judge(self._rules.refusal_of_name(self._name) if self._name else "")
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = arguments[1]
            # A path is a socket of this machine: a bus, or the system's log.
            host = str(address[0]) if isinstance(address, tuple) and address else ""
            self._judge(self._rules.refusal(self._name or host, host) if host else f"{address!r} is no network address")
        elif event == "open":
            self._judge("" if _may_be_opened(arguments[0]) else "this service reads or writes files")
        elif event in _REFUSED:
            self._judge("this service starts programs")
        elif event.startswith("syslog."):
            self._judge("this service writes to the log of the machine")

    def _judge(self, refusal: str) -> None:
        if refusal:
            self.refusal = self.refusal or refusal
            raise PermissionError(refusal)


def _may_be_opened(path: Any) -> bool:
    """Modules of this program and its libraries, certificates, zones; what is open already has a number."""
    if isinstance(path, int):
        return True
    whole = os.path.realpath(os.fsdecode(path))
    return whole.startswith(_READABLE) or whole in _READABLE_FILES


def _readable() -> tuple[str, ...]:
    paths = ssl.get_default_verify_paths()
    found = [sys.prefix, sys.base_prefix, *sys.path, paths.capath, paths.openssl_capath, "/usr/share", "/usr/lib"]
    return tuple(f"{os.path.realpath(entry)}{os.sep}" for entry in found if entry and os.path.isabs(entry))


_READABLE = _readable()
_READABLE_FILES = frozenset(
    os.path.realpath(path)
    for path in (ssl.get_default_verify_paths().cafile, os.environ.get("SSL_CERT_FILE"), "/etc/mime.types", os.devnull)
    if path
)


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")


class _LastWarning(logging.Handler):
    """What Apprise says about a failure goes to its log, and nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def send(url: str, title: str, body: str, kind: str, rules: TargetRules) -> tuple[str, bool]:
    """Why it failed, or ""; and whether another attempt could not go better."""
    try:
        import apprise
    except ImportError:
        return NOT_INSTALLED, True
    heard = _LastWarning()
    # From here on: options of a URL may name files, which services read as soon as they are made.
    watch = Watch(rules)
    sys.addaudithook(watch)
    logging.getLogger("apprise").addHandler(heard)
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None and watch.refusal:
        return watch.refusal, True
    if service is None:
        return "Apprise knows no service of this URL", True
    sender = apprise.Apprise()
    sender.add(service)
    if sender.notify(title=title, body=body, notify_type=kind, body_format="text"):
        return "", False
    if watch.refusal:
        return watch.refusal, False
    # Its messages may repeat parts of the URL, which are secrets.
    secret = any(part in heard.text for part in url.partition("://")[2].split("/") if len(part) > 3)
    return heard.text[:300] if heard.text and not secret else "the service did not take it", False


def _bound() -> None:
    """Answers that unpack to a mountain end this process, and nothing else."""
    resource.setrlimit(resource.RLIMIT_DATA, (MAXIMUM_MEMORY_BYTES, MAXIMUM_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAXIMUM_CPU_SECONDS, MAXIMUM_CPU_SECONDS))


def main() -> int:
    """Exit code 0 when it was sent, 1 when it was not, 2 when it never will be."""
    _bound()
    asked = json.loads(sys.stdin.buffer.readline())
    why, final = send(asked["url"], asked["title"], asked["body"], asked["kind"], TargetRules(tuple(asked["allowed"])))
    sys.stdout.write(f"{why}\n" if why else "")
    return (2 if final else 1) if why else 0


if __name__ == "__main__":
    sys.exit(main())
