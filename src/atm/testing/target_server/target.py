"""`TargetServer`: a target server in a separate process, managed by a with block."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import json
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from atm.dataclass import dataclass
from atm.errors import Problem, TargetServerError
from atm.testing.server_process import ServerProcess
from atm.testing.target_server.addresses import Addresses
from atm.testing.target_server.options import ServerOptions
from atm.testing.target_server.record import RequestRow, Stats
from atm.testing.target_server.tokens import TokenMode

if TYPE_CHECKING:
    from atm.testing.certificates import Authority, CertificateFiles

_MODULE = "atm.testing.target_server"


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """The raw bytes of one request. `raw` is None if they exceed 1 MiB."""

    route: str
    route_number: int
    raw: bytes | None


class Freeze:
    """A freeze of the whole server process, carried out by a thread."""

    def __init__(self, process: ServerProcess, seconds: float, after: float) -> None:
        self.began_ns = 0
        """When the process was stopped, CLOCK_MONOTONIC; 0 before that."""
        self.ended_ns = 0
        """When it was resumed; 0 before that."""
        self._process = process
        self._seconds = seconds
        self._after = after
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="target-freeze", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the freeze is over."""
        self._thread.join()

    def give_up(self) -> None:
        """End the freeze now, or prevent it."""
        self._given_up.set()
        self._thread.join()

    def _run(self) -> None:
        if self._given_up.wait(self._after):
            return
        self._process.freeze()
        self.began_ns = time.monotonic_ns()
        self._given_up.wait(self._seconds)
        self.ended_ns = time.monotonic_ns()
        self._process.thaw()


class TargetServer:
    """The target server in a separate process; a context manager, plain or async. Not thread-safe.

        with TargetServer() as target:
            run(target.url + "/delay/5")
            assert target.stats().completed == 100

    Keyword arguments are the fields of `ServerOptions`. `tls=True` adds a TLS listener with a new certificate (clients
    must trust `ca_file`); with `client_certificate=True` it requires the certificate in `client_files`. Raises
    TargetServerError if the server cannot start.
    """

    def __init__(
        self, *, tls: bool = False, client_certificate: bool = False, ready_seconds: float = 20.0, **options: Any
    ) -> None:
        self.options = ServerOptions(**options)
        self._wants_tls = tls or client_certificate
        self._wants_client_certificate = client_certificate
        self._ready_seconds = ready_seconds
        self._process: ServerProcess | None = None
        self._addresses: Addresses | None = None
        self._freezes: list[Freeze] = []
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._authority: Authority | None = None
        self._client_files: CertificateFiles | None = None

    def start(self) -> Self:
        """Start the process and wait until it listens."""
        if self._process is not None:
            raise TargetServerError(Problem("this target server is started already", "already_started"))
        if self._wants_tls:
            self.options = self._with_certificates()
        process = ServerProcess(_MODULE, self.options.to_json())
        try:
            ready = process.start(self._ready_seconds)
        except BaseException:
            self._drop_certificates()
            raise
        self._process = process
        self._addresses = Addresses(**ready)
        return self

    def stop(self) -> None:
        """Stop the process; does nothing if it is not running.

        Raises TargetServerError if the server reported an internal error, so that no test relies on a faulty server.
        """
        for freeze in self._freezes:
            freeze.give_up()
        self._freezes.clear()
        process, self._process, self._addresses = self._process, None, None
        output = "" if process is None else process.stop()
        self._drop_certificates()
        if "Traceback" in output:
            raise TargetServerError(
                Problem(f"the target server reported an internal error: {output}", "target_server_fault")
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        import asyncio

        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.stop)

    # Addresses

    @property
    def url(self) -> str:
        """Base URL without trailing slash."""
        return self._listening().url

    @property
    def https_url(self) -> str:
        """Base URL over TLS. Raises TargetServerError without a TLS listener."""
        return self._listening().https_url

    @property
    def host(self) -> str:
        """The host as given."""
        return self._listening().host

    @property
    def port(self) -> int:
        """The port in clear."""
        return self._listening().port

    @property
    def tls_port(self) -> int:
        """The TLS port; 0 without a TLS listener."""
        return self._listening().tls_port

    @property
    def pid(self) -> int:
        """The id of the server process."""
        return self._started().pid

    @property
    def ca_file(self) -> Path:
        """The CA certificate of the certificate created for `tls=True`."""
        return self.authority.ca_file

    @property
    def authority(self) -> Authority:
        """That authority, for signing further certificates."""
        if self._authority is None:
            raise TargetServerError(
                Problem("no certificate was created for this server", "no_tls", hint="Use tls=True")
            )
        return self._authority

    @property
    def client_files(self) -> CertificateFiles:
        """The certificate and key that `client_certificate=True` requires."""
        if self._client_files is None:
            raise TargetServerError(
                Problem("this server requires no client certificate", "no_tls", hint="Use client_certificate=True")
            )
        return self._client_files

    # The record

    def stats(self) -> Stats:
        """Return the current counts. Requests in flight are `in_progress`; see `settled_stats`."""
        return Stats.from_json(self._ask("GET", "/__stats__"))

    def settled_stats(self, seconds: float = 5.0) -> Stats:
        """Wait until no request is in progress, so that disconnects are noticed too, and return the counts.

        Raises TargetServerError if requests are still in progress after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            stats = self.stats()
            if stats.in_progress == 0:
                return stats
            if time.monotonic() > deadline:
                raise TargetServerError(
                    Problem(f"{stats.in_progress} requests are still in progress after {seconds:g} s", "not_settled")
                )
            time.sleep(0.01)

    def record(self, since: int = 0) -> list[RequestRow]:
        """Yield a row for every request with a number above `since`, in order."""
        rows: list[RequestRow] = []
        while True:
            page = self._ask("GET", f"/__record__?since={since}")
            rows.extend(RequestRow.from_json(row) for row in page["rows"])
            since = page["next"]
            if since >= page["total"]:
                return rows

    def captured(self) -> list[CapturedRequest]:
        """Return the raw bytes of the first `capture` requests."""
        return [
            CapturedRequest(route, number, None if raw is None else base64.b64decode(raw))
            for route, number, raw in self._ask("GET", "/__captured__")
        ]

    def reset(self) -> None:
        """Clear the record and planned stalls and token modes, and count from one again."""
        self._ask("POST", "/__reset__")

    # Control

    def stall(self, seconds: float, after: float = 0.0) -> None:
        """Accept and read, but do not respond, for `seconds`, starting in `after` seconds."""
        self._ask("POST", f"/__stall__?seconds={seconds!r}&after={after!r}")

    def stalls(self) -> list[tuple[int, int]]:
        """Return start and end of each past stall, CLOCK_MONOTONIC ns."""
        return [(began, ended) for began, ended in self._ask("GET", "/__stalls__")]

    def set_token_mode(self, mode: TokenMode, times: int = 0, expires_in: float | None = None) -> None:
        """Set the token endpoint's behaviour for the next `times` requests (0: for all), and the lifetime of tokens."""
        lifetime = "" if expires_in is None else f"&expires_in={expires_in!r}"
        self._ask("POST", f"/__tokens__?mode={mode.value}&times={times}{lifetime}")

    def pause(self, seconds: float, after: float = 0.0) -> Freeze:
        """Freeze the process (SIGSTOP, SIGCONT) for `seconds`, starting in `after` seconds; returns at once.

        `stats()` and similar methods block meanwhile: call `wait()` on the result first.
        """
        freeze = Freeze(self._started(), seconds, after)
        self._freezes.append(freeze)
        return freeze

    # Internal

    def _with_certificates(self) -> ServerOptions:
        from atm.testing.certificates import Authority

        self._directory = tempfile.TemporaryDirectory(prefix="atm-target-")
        self._authority = Authority(Path(self._directory.name))
        made: dict[str, Any] = {"tls_port": self.options.tls_port or 0}
        if self.options.certificate_file is None:
            server = self._authority.server("localhost", "127.0.0.1", "::1")
            made |= {"certificate_file": str(server.certificate), "key_file": str(server.key)}
        if self._wants_client_certificate:
            self._client_files = self._authority.client("atm test client")
            made["client_ca_file"] = str(self._authority.ca_file)
        return dataclasses.replace(self.options, **made)

    def _drop_certificates(self) -> None:
        directory, self._directory = self._directory, None
        if directory is not None:
            directory.cleanup()

    def _ask(self, method: str, target: str) -> Any:
        addresses = self._listening()
        host = "127.0.0.1" if addresses.host == "localhost" else addresses.host
        connection = http.client.HTTPConnection(host, addresses.port, timeout=30)
        try:
            connection.request(method, target, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
        except OSError as cause:
            output = self._started().error_output()
            raise TargetServerError(
                Problem(
                    f"the target server does not respond: {cause}" + (f"; stderr: {output}" if output else ""),
                    "target_server_lost",
                )
            ) from cause
        finally:
            connection.close()
        if response.status >= 300:
            raise TargetServerError(
                Problem(f"{method} {target}: {response.status} {body.decode(errors='replace').strip()}", "refused")
            )
        return json.loads(body) if body else None

    def _started(self) -> ServerProcess:
        if self._process is None:
            raise TargetServerError(
                Problem("this target server is not running", "not_running", hint="Use it in a with block, or start()")
            )
        return self._process

    def _listening(self) -> Addresses:
        self._started()
        assert self._addresses is not None
        return self._addresses
