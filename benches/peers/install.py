"""Where the tools are, and how those that are missing are installed.

Only `make bench-peers` installs, never set-up or the tests. What is not a package of the system goes into one folder,
`ATM_PEERS_DIR` or build/peers, in a folder of its own per tool and version, so a new pin is a new installation. A tool
that cannot be had is a row that says why, never an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benches.measure import BIN, ROOT

_PATIENCE_SECONDS = 1800
_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"


class NotInstalledError(Exception):
    """A tool cannot be had here; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that is measured, at a pinned version where we install it ourselves."""

    name: str
    program: str
    """Its file within its folder, or its name on the PATH when it is a package of the system."""
    version: str | None = None
    package: str | None = None
    """The Debian package that it is in."""
    steps: Callable[[Path], list[list[str]]] | None = None
    """The commands that install it into a folder."""
    environment: Callable[[Path], dict[str, str]] = lambda folder: {}


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("nginx", "nginx", package="nginx-light"),
        Tool("wrk", "wrk", package="wrk"),
        Tool("h2load", "h2load", package="nghttp2-client"),
        Tool("hey", "hey", package="hey"),
        Tool("ab", "ab", package="apache2-utils"),
        Tool(
            "k6",
            "k6",
            "1.8.1",
            steps=lambda folder: [["go", "install", "go.k6.io/k6@v1.8.1"]],
            environment=lambda folder: {"GOBIN": str(folder)},
        ),
        Tool(
            "vegeta",
            "vegeta",
            "12.13.0",
            steps=lambda folder: [["go", "install", "github.com/tsenart/vegeta/v12@v12.13.0"]],
            environment=lambda folder: {"GOBIN": str(folder)},
        ),
        Tool(
            "oha",
            "bin/oha",
            "1.16.0",
            steps=lambda folder: [
                ["cargo", "install", "oha", "--locked", "--version", "1.16.0", "--root", str(folder)],
                ["rm", "-rf", str(folder / "target")],
            ],
            environment=lambda folder: {"CARGO_TARGET_DIR": str(folder / "target")},
        ),
        Tool(
            "locust",
            "bin/locust",
            "2.47.0",
            steps=lambda folder: [
                [sys.executable, "-m", "venv", str(folder)],
                [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "locust==2.47.0"],
            ],
        ),
        Tool(
            "autocannon",
            "node_modules/.bin/autocannon",
            "9.0.0",
            steps=lambda folder: [
                ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "autocannon@9.0.0"]
            ],
        ),
    )
}


def peers_folder() -> Path:
    """Where the tools that are no packages of the system live: `ATM_PEERS_DIR`, or build/peers in the checkout."""
    return Path(os.environ.get("ATM_PEERS_DIR") or ROOT / "build" / "peers").absolute()


def path_of(name: str) -> Path:
    """The program of a tool. Raises NotInstalledError where it is not there."""
    if name in ("atm", "atm native"):
        return _our_own(native=name == "atm native")
    tool = TOOLS[name]
    if tool.package is not None:
        found = shutil.which(tool.program, path=f"{os.environ.get('PATH', '')}:{_SBIN}")
        if found is None:
            raise NotInstalledError(f"not in the PATH (Debian package {tool.package})")
        return Path(found)
    program = _folder(tool) / tool.program
    if not program.exists():
        raise NotInstalledError(f"no {tool.name} {tool.version} in the folder of peers")
    return program


def version_of(name: str) -> str | None:
    """The version of an installed tool: the pinned one, or what the package manager says; None where it is silent."""
    if name.startswith("atm"):
        from atm.version import VERSION

        return VERSION
    tool = TOOLS[name]
    if tool.package is None:
        return tool.version
    asked = ["dpkg-query", "--show", "--showformat", "${Version}", tool.package]
    try:
        result = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return None
    return result.stdout.strip() or None


def install(name: str) -> None:
    """Install one tool, unless it is there. Raises NotInstalledError with the reason in one line."""
    try:
        path_of(name)
    except NotInstalledError as missing:
        if name not in TOOLS:
            raise
        tool = TOOLS[name]
        print(f"peers: installing {tool.name}{f' {tool.version}' if tool.version else ''} ...", flush=True)
        if tool.package is not None:
            _install_package(tool.package, missing)
        else:
            _install_into_folder(tool)
        path_of(name)


def _install_package(package: str, missing: NotInstalledError) -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NotInstalledError(f"{missing}, and only root can install that") from missing
    # With RUNLEVEL set, Debian's invoke-rc.d starts no service of a package that is installed.
    environment = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package]
    try:
        _run(command, environment)
    except NotInstalledError:
        # The lists of a fresh machine are empty or old.
        _run(["apt-get", "update", "--quiet"], environment)
        _run(command, environment)


def _install_into_folder(tool: Tool) -> None:
    assert tool.steps is not None
    folder = _folder(tool)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for step in tool.steps(folder):
            _run(step, tool.environment(folder))
    except OSError as error:
        raise NotInstalledError(f"the folder of peers cannot be written: {error}") from error
    except NotInstalledError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run(command: list[str], environment: dict[str, str]) -> None:
    if shutil.which(command[0]) is None:
        raise NotInstalledError(f"{command[0]} is not there to install it")
    try:
        result = subprocess.run(
            ["nice", "-n", "19", *command],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(f"{Path(command[0]).name} took longer than {_PATIENCE_SECONDS} s") from error
    if result.returncode != 0:
        said = [line.strip() for line in (result.stderr or result.stdout).splitlines() if line.strip()]
        raise NotInstalledError(f"{Path(command[0]).name} ended with {result.returncode}: {' '.join(said[-2:])[-160:]}")


def _folder(tool: Tool) -> Path:
    return peers_folder() / f"{tool.name}-{tool.version}"


def _our_own(*, native: bool) -> Path:
    program = BIN / "atm"
    if not program.exists():
        raise NotInstalledError("atm is not installed in this environment")
    if subprocess.run([program, "run", "--help"], capture_output=True, check=False).returncode != 0:
        raise NotInstalledError("this atm has no command `run`")
    if native:
        asked = [BIN / "python", "-c", "import atm_engine"]
        if subprocess.run(asked, capture_output=True, check=False).returncode != 0:
            raise NotInstalledError("the native engine is not built in this environment")
    return program
