"""The journey with other load testers: CPU time of the whole client per request, while nginx answers at once.

As in the closed rows of `benches.peers`, a client starts, warms up, and is measured between two points in time; nginx
counts the requests. A client that is not installed is left out with its reason: `python -m benches.peers
--install-only` installs it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benches.flow import USERS, journey
from benches.measure import BIN, MeasurementError
from benches.nginx import Nginx
from benches.peers.command import Command
from benches.peers.install import NotInstalledError, path_of
from benches.peers.processes import ClientProcess

CLIENT_CORE = 0
ATM = "atm native"
WINDOW_SECONDS = 4.0
FASTER: Mapping[str, float] = {
    "k6": 6.0,
    "loadr": 3.0,
    "Locust FastHttpUser": 15.0,
    "goose": 1.5,
    "Gatling": 6.0,
    "Artillery": 6.0,
}
"""Requests per CPU second of atm, as a multiple of the client's: the bars."""
_SCRIPTS = Path(__file__).parent / "peers" / "scripts"
_SPARE_SECONDS = 300
"""Seconds for which a client is configured; it is killed at the end of the window."""
_STEADY_AFTER_REQUESTS = 500
_FIRST_REQUESTS_SECONDS = 60.0
_SETTLE_SECONDS: Mapping[str, float] = {"Gatling": 15.0}
"""Time between the first requests and the window: the JVM compiles what runs often, and that is not the steady cost."""
_USUAL_SETTLE_SECONDS = 0.7


def _atm(base_url: str, scratch: Path) -> Command:
    spec = {**journey(base_url), "load": {"users": USERS}, "duration": f"{_SPARE_SECONDS}s"}
    (scratch / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    options = ("--engine", "native", "--json", "--quiet", "--no-history")
    return Command((str(BIN / "atm"), "run", "spec.json", *options))


def _k6(base_url: str, _scratch: Path) -> Command:
    argv = (str(path_of("k6")), "run", "--quiet", "--no-color", "--address", "", str(_SCRIPTS / "flow.js"))
    return Command(argv, {"TARGET": base_url, "SECONDS": str(_SPARE_SECONDS), "VUS": str(USERS)})


def _loadr(base_url: str, scratch: Path) -> Command:
    text = (_SCRIPTS / "flow_loadr.yaml").read_text(encoding="utf-8")
    for name, value in (("TARGET", base_url), ("USERS", USERS), ("SECONDS", _SPARE_SECONDS)):
        text = text.replace(f": {name}", f": {value}")
    (scratch / "flow.yaml").write_text(text, encoding="utf-8")
    return Command((str(path_of("loadr")), "run", "--quiet", "flow.yaml"))


def _goose(base_url: str, _scratch: Path) -> Command:
    shape = ("--users", str(USERS), "--hatch-rate", str(USERS), "--run-time", f"{_SPARE_SECONDS}s")
    return Command((str(path_of("goose")), "--host", base_url, *shape, "--no-reset-metrics", "--quiet"))


def _gatling(base_url: str, scratch: Path) -> Command:
    folder = path_of("gatling").parent.parent
    classes = f"{folder / 'classes'}:{folder / 'lib'}/*"
    # -nr: no report.
    options = ("-s", "Flow", "-rf", str(scratch), "-nr")
    # As in the start script of Gatling. With one processor its only thread would wait for another one.
    machine = ("-server", "-Xmx1G", "-XX:ActiveProcessorCount=2", "--add-opens", "java.base/java.lang=ALL-UNNAMED")
    argv = ("java", *machine, "-cp", classes, "io.gatling.app.Gatling", *options)
    return Command(argv, {"TARGET": base_url, "SECONDS": str(_SPARE_SECONDS), "USERS": str(USERS)})


def _artillery(base_url: str, scratch: Path) -> Command:
    text = (_SCRIPTS / "flow_artillery.yaml").read_text(encoding="utf-8")
    (scratch / "flow.yaml").write_text(text.replace(": USERS", f": {USERS}"), encoding="utf-8")
    # The expect plugin is found through NODE_PATH, as flow.yaml is not in the folder of Artillery.
    modules = path_of("artillery").parent.parent
    environment = {"TARGET": base_url, "NODE_PATH": str(modules), "ARTILLERY_DISABLE_TELEMETRY": "true"}
    return Command((str(path_of("artillery")), "run", "--quiet", "flow.yaml"), environment)


def _locust(base_url: str, _scratch: Path) -> Command:
    shape = ("-u", str(USERS), "-r", str(USERS), "-t", f"{_SPARE_SECONDS}s", "--host", base_url)
    quiet = ("--headless", "--only-summary", "--loglevel", "WARNING")
    return Command((str(path_of("locust")), "-f", str(_SCRIPTS / "flow_locustfile.py"), *quiet, *shape))


def _code(base_url: str, _scratch: Path) -> Command:
    shape = ("--base-url", base_url, "--users", str(USERS), "--duration", f"{_SPARE_SECONDS}s")
    options = ("--json", "--quiet", "--no-history")
    return Command((str(BIN / "atm"), "run", str(_SCRIPTS / "flow_code.py"), *shape, *options))


def _locustfile(base_url: str, _scratch: Path) -> Command:
    shape = ("--host", base_url, "--users", str(USERS), "--duration", f"{_SPARE_SECONDS}s")
    options = ("--json", "--quiet", "--no-history")
    return Command((str(BIN / "atm"), "run", str(_SCRIPTS / "flow_locustfile.py"), *shape, *options))


CODE = "atm code"
LOCUSTFILE = "atm locustfile"
LOCUST = "Locust FastHttpUser"
_COMMANDS: Mapping[str, Callable[[str, Path], Command]] = {
    ATM: _atm,
    "k6": _k6,
    "loadr": _loadr,
    LOCUST: _locust,
    "goose": _goose,
    "Gatling": _gatling,
    "Artillery": _artillery,
}
_OF_CODE: Mapping[str, Callable[[str, Path], Command]] = {CODE: _code, LOCUSTFILE: _locustfile, LOCUST: _locust}
"""Compared by `benches.python_code`."""


def subjects(nginx: Nginx) -> tuple[dict[str, Callable[[], float]], dict[str, str]]:
    """Return the measurements of CPU seconds per 1,000 requests by client, and the reasons why others are missing."""
    found: dict[str, Callable[[], float]] = {}
    missing: dict[str, str] = {}
    for name in _COMMANDS:
        try:
            with tempfile.TemporaryDirectory(prefix="atm-flow-") as folder:
                _COMMANDS[name]("http://127.0.0.1", Path(folder))
        except NotInstalledError as error:
            missing[name] = str(error)
        else:
            found[name] = lambda name=name: cpu_per_1000(name, nginx)  # type: ignore[misc]
    return found, missing


def cpu_per_1000(name: str, nginx: Nginx) -> float:
    """Return the CPU seconds per 1,000 requests of a client, in a window of steady traffic.

    Raises MeasurementError if it ends early or sends nothing.
    """
    with tempfile.TemporaryDirectory(prefix="atm-flow-") as folder:
        scratch = Path(folder)
        command = {**_COMMANDS, **_OF_CODE}[name](f"http://127.0.0.1:{nginx.port}", scratch)
        begin = nginx.requests()
        with ClientProcess(command, CLIENT_CORE, scratch) as process:
            deadline = time.monotonic() + _FIRST_REQUESTS_SECONDS
            while nginx.requests() < begin + _STEADY_AFTER_REQUESTS:
                if not process.running or time.monotonic() > deadline:
                    raise MeasurementError(f"{name} does not send: {process.said()}")
                time.sleep(0.1)
            time.sleep(_SETTLE_SECONDS.get(name, _USUAL_SETTLE_SECONDS))
            requests, usage = nginx.requests(), process.usage()
            time.sleep(WINDOW_SECONDS)
            # The first query of the window counts itself.
            requests, spent = nginx.requests() - requests - 1, process.usage().since(usage)
            if not process.running or requests <= 0:
                raise MeasurementError(f"{name} ended early: {process.said()}")
    return spent.total / requests * 1000
