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
from dataclasses import dataclass
from pathlib import Path

from benches.measure import BIN, ROOT

_PATIENCE_SECONDS = 1800
_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"


class NotInstalledError(Exception):
    """A tool cannot be had here; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that is measured, at a pinned version where we install it ourselves.

    In `steps` and `environment`, `{folder}` stands for the folder that it is installed into, `{version}` for its
    version and `{python}` for the interpreter that runs this.
    """

    name: str
    program: str
    """Its file within its folder, or its name on the PATH when it is a package of the system."""
    version: str = ""
    package: str | None = None
    """The Debian package that it is in."""
    steps: tuple[str, ...] = ()
    """The commands that install it, words separated by blanks."""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        """Where it is, or is to be, installed."""
        return peers_folder() / f"{self.name}-{self.version}"

    def filled(self, text: str) -> str:
        """A word of `steps` or `environment` with its names replaced."""
        return text.format(folder=self.folder, version=self.version, python=sys.executable)


_GO = (("GOBIN", "{folder}"),)
TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("nginx", "nginx", package="nginx-light"),
        Tool("wrk", "wrk", package="wrk"),
        Tool("h2load", "h2load", package="nghttp2-client"),
        Tool("hey", "hey", package="hey"),
        Tool("ab", "ab", package="apache2-utils"),
        Tool("k6", "k6", "1.8.1", steps=("go install go.k6.io/k6@v{version}",), environment=_GO),
        Tool(
            "vegeta",
            "vegeta",
            "12.13.0",
            steps=("go install github.com/tsenart/vegeta/v12@v{version}",),
            environment=_GO,
        ),
        Tool(
            "oha",
            "bin/oha",
            "1.16.0",
            steps=("cargo install oha --locked --version {version} --root {folder}", "rm -rf {folder}/target"),
            environment=(("CARGO_TARGET_DIR", "{folder}/target"),),
        ),
        Tool(
            "locust",
            "bin/locust",
            "2.47.0",
            steps=("{python} -m venv {folder}", "{folder}/bin/python -m pip install --quiet locust=={version}"),
        ),
        Tool(
            "autocannon",
            "node_modules/.bin/autocannon",
            "9.0.0",
            steps=("npm install --prefix {folder} --no-audit --no-fund autocannon@{version}",),
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
    program = tool.folder / tool.program
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
    environment = {name: tool.filled(value) for name, value in tool.environment}
    try:
        tool.folder.mkdir(parents=True, exist_ok=True)
        for step in tool.steps:
            _run([tool.filled(word) for word in step.split()], environment)
    except OSError as error:
        raise NotInstalledError(f"the folder of peers cannot be written: {error}") from error
    except NotInstalledError:
        shutil.rmtree(tool.folder, ignore_errors=True)
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


def _our_own(*, native: bool) -> Path:
    program = BIN / "atm"
    if not program.exists():
        raise NotInstalledError("atm is not installed in this environment")
    if subprocess.run([program, "run", "--help"], capture_output=True, check=False).returncode != 0:
        raise NotInstalledError("this atm has no command `run`")
    if native:
        asked = [str(BIN / "python"), "-c", "import atm_engine"]
        if subprocess.run(asked, capture_output=True, check=False).returncode != 0:
            raise NotInstalledError("the native engine is not built in this environment")
    return program
