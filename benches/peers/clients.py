"""The measured clients: the command line for a load, and the parser of the printed figures.

Each tool is configured according to its documentation, without features that cost time and do not change the load
(progress bar, result file). In paced loads, tools that need a number of connections get one; those with an open model
(vegeta, k6, ours) may open as many as they need.
"""

from __future__ import annotations

import json
import subprocess
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from benches.measure import MeasurementError
from benches.peers import tool_output
from benches.peers.command import Closed, Command, Output, Paced, Printed, Protocol
from benches.peers.install import path_of

_SCRIPTS = Path(__file__).parent / "scripts"
_CLEAR_OR_TLS = (Protocol.HTTP1, Protocol.TLS)
_OPEN_MODEL_USERS = 2000


class Client(ABC):
    """A tool, or one configuration of it. `tool` is its key in `install`, `name` its name in tables."""

    name: str
    tool: str

    @abstractmethod
    def closed(self, load: Closed) -> Command | None:
        """Return the command for a closed load, or None if the tool cannot produce it."""

    @abstractmethod
    def printed(self, output: Output) -> Printed:
        """Parse the figures printed at the end."""

    def program(self) -> str:
        """Return the path of the program. Raises NotInstalledError."""
        return str(path_of(self.tool))


class PacedClient(Client):
    """A tool that can send at a fixed rate."""

    @abstractmethod
    def paced(self, load: Paced) -> Command:
        """Return the command for a fixed rate."""


class Wrk(Client):
    """wrk 4: closed model only."""

    name = tool = "wrk"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol not in _CLEAR_OR_TLS:
            return None
        connections, seconds = f"-c{load.connections}", f"-d{load.seconds}s"
        return Command((self.program(), "-t1", connections, seconds, "--latency", load.url))

    def printed(self, output: Output) -> Printed:
        return tool_output.wrk(output.stdout)


class Ab(Client):
    """ApacheBench with keep-alive: closed model only."""

    name = tool = "ab"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol not in _CLEAR_OR_TLS:
            return None
        # -t implies a maximum of 50,000 requests unless -n follows.
        limits = ("-t", str(load.seconds), "-n", "5000000")
        return Command((self.program(), "-k", "-q", "-c", str(load.connections), *limits, load.url))

    def printed(self, output: Output) -> Printed:
        return tool_output.ab(output.stdout)


class H2load(PacedClient):
    """h2load of nghttp2; `--rps` is per connection."""

    name = tool = "h2load"

    def closed(self, load: Closed) -> Command | None:
        version = ("--h1",) if load.protocol in _CLEAR_OR_TLS else ()
        shape = (f"-c{load.connections}", f"-m{load.streams}", "-t1", "-D", str(load.seconds))
        return Command((self.program(), *version, *shape, load.url))

    def paced(self, load: Paced) -> Command:
        each = f"--rps={load.rate / load.connections:g}"
        shape = ("--h1", f"-c{load.connections}", "-m1", "-t1", "-D", str(load.seconds), each, "--log-file=log.tsv")
        return Command((self.program(), *shape, load.url))

    def printed(self, output: Output) -> Printed:
        return tool_output.h2load_log((output.scratch / "log.tsv").read_text(encoding="utf-8").splitlines())


class Hey(PacedClient):
    """hey; `-q` is per worker. With HTTP/2 it sends everything over one connection."""

    name = tool = "hey"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol is Protocol.HTTP2_CLEAR:
            return None
        version = ("-h2",) if load.protocol is Protocol.HTTP2 else ()
        workers = str(load.connections * load.streams)
        return Command((self.program(), *version, "-z", f"{load.seconds}s", "-c", workers, load.url))

    def paced(self, load: Paced) -> Command:
        each = f"{load.rate / load.connections:g}"
        shape = ("-z", f"{load.seconds}s", "-c", str(load.connections), "-q", each)
        return Command((self.program(), *shape, load.url))

    def printed(self, output: Output) -> Printed:
        return tool_output.hey(output.stdout)


class Vegeta(PacedClient):
    """vegeta's attack; its report is a separate command and not part of CPU and memory figures."""

    name = tool = "vegeta"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol not in _CLEAR_OR_TLS:
            return None
        count = load.connections
        workers = (f"-workers={count}", f"-max-workers={count}", f"-connections={count}")
        shape = ("-rate=0", *workers, f"-duration={load.seconds}s", "-output=/dev/null")
        return Command((*self._attack(load.url, load.scratch), *shape))

    def paced(self, load: Paced) -> Command:
        shape = (f"-rate={load.rate}/s", f"-duration={load.seconds}s", "-output=results.bin")
        return Command((*self._attack(load.url, load.scratch), *shape))

    def printed(self, output: Output) -> Printed:
        command = [self.program(), "report", "-type=json", str(output.scratch / "results.bin")]
        report = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if report.returncode != 0:
            raise MeasurementError(f"vegeta report ended with {report.returncode}: {report.stderr.strip()[-200:]}")
        return tool_output.vegeta(report.stdout)

    def _attack(self, url: str, scratch: Path) -> tuple[str, ...]:
        (scratch / "targets").write_text(f"GET {url}\n", encoding="utf-8")
        return (self.program(), "attack", "-targets=targets", "-insecure", "-http2=false")


class Oha(PacedClient):
    """oha; paced with its correction for coordinated omission, as its documentation recommends."""

    name = tool = "oha"
    _quiet = ("--no-tui", "--output-format", "json", "--insecure")

    def closed(self, load: Closed) -> Command | None:
        http2 = load.protocol in (Protocol.HTTP2, Protocol.HTTP2_CLEAR)
        version = ("--http2", "-p", str(load.streams)) if http2 else ()
        shape = ("-c", str(load.connections), "-z", f"{load.seconds}s")
        return Command((self.program(), *self._quiet, *version, *shape, load.url))

    def paced(self, load: Paced) -> Command:
        shape = ("-c", str(load.connections), "-z", f"{load.seconds}s", "-q", str(load.rate), "--latency-correction")
        return Command((self.program(), *self._quiet, *shape, load.url))

    def printed(self, output: Output) -> Printed:
        return tool_output.oha(output.stdout)


class K6(PacedClient):
    """k6 with bodies discarded; paced by its constant-arrival-rate executor."""

    name = tool = "k6"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol is Protocol.HTTP2_CLEAR:
            return None
        environment = {
            "TARGET": load.url,
            "SECONDS": str(load.seconds),
            "VUS": str(load.connections),
            "BATCH": str(load.streams),
        }
        if load.protocol is Protocol.TLS:
            environment["GODEBUG"] = "http2client=0"
        return self._run(environment)

    def paced(self, load: Paced) -> Command:
        users = str(_OPEN_MODEL_USERS)
        return self._run({"TARGET": load.url, "SECONDS": str(load.seconds), "VUS": users, "RATE": str(load.rate)})

    def printed(self, output: Output) -> Printed:
        return tool_output.k6(output.stdout)

    def _run(self, environment: dict[str, str]) -> Command:
        argv = (self.program(), "run", "--quiet", "--no-color", "--address", "", str(_SCRIPTS / "k6.js"))
        return Command(argv, {"K6_NO_USAGE_REPORT": "true", **environment})


class Autocannon(PacedClient):
    """autocannon; paced with its correction for coordinated omission, its default."""

    name = tool = "autocannon"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol not in _CLEAR_OR_TLS:
            return None
        shape = ("-c", str(load.connections), "-d", str(load.seconds))
        return Command((self.program(), "--json", "--no-progress", *shape, load.url), self._trust())

    def paced(self, load: Paced) -> Command:
        shape = ("-c", str(load.connections), "-d", str(load.seconds), "-R", str(load.rate))
        return Command((self.program(), "--json", "--no-progress", *shape, load.url), self._trust())

    def printed(self, output: Output) -> Printed:
        return tool_output.autocannon(output.stdout)

    @staticmethod
    def _trust() -> dict[str, str]:
        return {"NODE_TLS_REJECT_UNAUTHORIZED": "0"}


class Locust(PacedClient):
    """Locust with FastHttpUser in one process; paced by `constant_throughput` of each user."""

    name = "Locust FastHttpUser"
    tool = "locust"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol not in _CLEAR_OR_TLS:
            return None
        return self._run(load.url, load.connections, load.seconds, {})

    def paced(self, load: Paced) -> Command:
        each = {"ATM_RATE_PER_USER": repr(load.rate / load.connections)}
        return self._run(load.url, load.connections, load.seconds, each)

    def printed(self, output: Output) -> Printed:
        return tool_output.locust((output.scratch / "locust_stats.csv").read_text(encoding="utf-8"))

    def _run(self, url: str, users: int, seconds: int, environment: dict[str, str]) -> Command:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        shape = ("-u", str(users), "-r", str(users), "-t", f"{seconds}s", "--host", f"{parts.scheme}://{parts.netloc}")
        quiet = ("--headless", "--only-summary", "--csv", "locust", "--loglevel", "WARNING")
        argv = (self.program(), "-f", str(_SCRIPTS / "locustfile.py"), *quiet, *shape)
        return Command(argv, {"ATM_PATH": path, **environment})


class Atm(PacedClient):
    """API Test Machine with one of its engines: the complete command line with all accounting."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.name = f"atm {engine}"
        self.tool = "atm native" if engine == "native" else "atm"

    def closed(self, load: Closed) -> Command | None:
        users, duration = load.connections * load.streams, f"{load.seconds}s"
        if load.protocol in _CLEAR_OR_TLS:
            trust = ("--insecure",) if load.protocol is Protocol.TLS else ()
            return self._run(load.url, "--concurrency", str(users), "--duration", duration, *trust)
        if self.engine == "asyncio":
            return None
        specification = {
            "name": "HTTP/2",
            "url": load.url,
            "http_version": "2",
            "streams_per_connection": load.streams,
            "concurrency": users,
            "duration": duration,
            "tls": {"insecure": True},
        }
        (load.scratch / "spec.json").write_text(json.dumps(specification), encoding="utf-8")
        return self._run("spec.json")

    def paced(self, load: Paced) -> Command:
        return self._run(load.url, "--rate", str(load.rate), "--duration", f"{load.seconds}s")

    def printed(self, output: Output) -> Printed:
        return tool_output.atm(output.stdout)

    def _run(self, subject: str, *options: str) -> Command:
        # 4: the measurement is invalid, which is correct for a throttled client; the figures are used anyway.
        program = self.program()
        fixed = ("--engine", self.engine, "--json", "--quiet", *_without_history(program))
        return Command((program, "run", subject, *options, *fixed), good_statuses=(0, 4))


class AtmTemplated(Atm):
    """The native engine with templates in the URL and in a header, rendered for each request."""

    def __init__(self) -> None:
        super().__init__("native")
        self.name = "atm native with templates"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol is not Protocol.HTTP1:
            return None
        templates = ("--header", "X-Request-Id: {{uuid}}", "--var", "who=anna", "--method", "POST")
        body = ("--data", '{"order": "{{request_number}}", "who": "{{who}}"}')
        shape = ("--concurrency", str(load.connections), "--duration", f"{load.seconds}s")
        return self._run(f"{load.url}?n={{{{request_number}}}}", *templates, *body, *shape)


class AtmConstantPost(Atm):
    """The baseline of `AtmTemplated`: a constant request of the same shape and size."""

    def __init__(self) -> None:
        super().__init__("native")
        self.name = "atm native without templates"

    def closed(self, load: Closed) -> Command | None:
        if load.protocol is not Protocol.HTTP1:
            return None
        constant = ("--header", "X-Request-Id: 0b5a9c1e-8d0f-4a6b-9a57-0d7c3c5a1f42", "--method", "POST")
        body = ("--data", '{"order": "123456", "who": "anna"}')
        shape = ("--concurrency", str(load.connections), "--duration", f"{load.seconds}s")
        return self._run(f"{load.url}?n=123456", *constant, *body, *shape)


@cache
def _without_history(program: str) -> tuple[str, ...]:
    """Return the flag that disables the history, if this version has it."""
    said = subprocess.run([program, "run", "--help"], capture_output=True, text=True, check=False, timeout=60).stdout
    return ("--no-history",) if "--no-history" in said else ()


CLIENTS: dict[str, Client] = {
    client.name: client
    for client in (
        Wrk(),
        Ab(),
        H2load(),
        Hey(),
        Vegeta(),
        Oha(),
        K6(),
        Autocannon(),
        Locust(),
        Atm("native"),
        Atm("asyncio"),
        AtmTemplated(),
        AtmConstantPost(),
    )
}
