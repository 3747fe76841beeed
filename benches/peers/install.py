"""Find the tools, and install missing ones.

Only `make bench-peers` installs, not set-up or the tests. Tools other than system packages are installed below
`ATM_PEERS_DIR` or build/peers, in one directory per tool and version, so a new version is a new installation. A tool
that cannot be installed becomes a row with the reason, not an error.
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
_SCRIPTS = Path(__file__).parent / "scripts"
_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"


class NotInstalledError(Exception):
    """A tool is not available; the message has the reason in a few words."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A measured program, in a pinned version if we install it.

    In `steps` and `environment`, `{folder}` is replaced by its installation directory, `{version}` by its version and
    `{python}` by the current interpreter, `{peers}` by the folder of this package, and `{scripts}` by that of the tests
    written for the tools.
    """

    name: str
    program: str
    """Its file within the directory, or its name on the PATH for a system package."""
    version: str = ""
    package: str | None = None
    """Its Debian package."""
    steps: tuple[str, ...] = ()
    """The installation commands, words separated by spaces."""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        """Return its installation directory."""
        return peers_folder() / f"{self.name}-{self.version}"

    def filled(self, text: str) -> str:
        """Return a word of `steps` or `environment` with placeholders replaced."""
        return text.format(
            folder=self.folder, version=self.version, python=sys.executable, peers=_SCRIPTS.parent, scripts=_SCRIPTS
        )


_GO = (("GOBIN", "{folder}"),)
TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("nginx", "nginx", package="nginx-light"),
        # Ours, in responder/: the server in rows where the client is the limit.
        Tool(
            "responder",
            "bin/responder",
            "0.3.0",
            steps=("cargo install --locked --path {peers}/responder --root {folder}", "rm -rf {folder}/target"),
            environment=(("CARGO_TARGET_DIR", "{folder}/target"),),
        ),
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
            "loadr",
            "bin/loadr",
            "1.0.0",
            steps=("cargo install loadr-cli --locked --version {version} --root {folder}", "rm -rf {folder}/target"),
            environment=(("CARGO_TARGET_DIR", "{folder}/target"),),
        ),
        # A library: what is installed is the program in scripts/flow_goose, which uses this version.
        Tool(
            "goose",
            "bin/flow-goose",
            "0.18.1",
            steps=("cargo install --locked --path {scripts}/flow_goose --root {folder}", "rm -rf {folder}/target"),
            environment=(("CARGO_TARGET_DIR", "{folder}/target"),),
        ),
        # A library too: what is installed is the class in scripts/flow_gatling with the JARs it needs.
        Tool(
            "gatling",
            "classes/Flow.class",
            "3.13.5",
            steps=(
                "mvn --quiet --batch-mode --file {scripts}/flow_gatling/pom.xml dependency:copy-dependencies "
                "-Dgatling={version} -DoutputDirectory={folder}/lib",
                "javac -cp {folder}/lib/* -d {folder}/classes {scripts}/flow_gatling/Flow.java",
                "cp {scripts}/flow_gatling/logback.xml {folder}/classes",
            ),
        ),
        # Without its install scripts: they download browsers, which a test of an API does not need.
        Tool(
            "artillery",
            "node_modules/.bin/artillery",
            "2.0.23",
            steps=("npm install --prefix {folder} --no-audit --no-fund --ignore-scripts artillery@{version}",),
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
    """Return the directory of tools other than system packages: `ATM_PEERS_DIR`, or build/peers in the checkout."""
    return Path(os.environ.get("ATM_PEERS_DIR") or ROOT / "build" / "peers").absolute()


def path_of(name: str) -> Path:
    """Return the program of a tool. Raises NotInstalledError if it is missing."""
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
    """Return the version of an installed tool: the pinned one, or that of the package manager; None if unknown."""
    if name.startswith("atm"):
        from atm.version import VERSION

        return VERSION
    tool = TOOLS[name]
    if tool.package is None:
        return tool.version
    command = ["dpkg-query", "--show", "--showformat", "${Version}", tool.package]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return None
    return result.stdout.strip() or None


def install(name: str) -> None:
    """Install a tool if it is missing. Raises NotInstalledError with the reason in one line."""
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
    # With RUNLEVEL set, Debian's invoke-rc.d does not start services of installed packages.
    environment = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package]
    try:
        _run(command, environment)
    except NotInstalledError:
        # The package lists of a new machine are empty or stale.
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
        command = [str(BIN / "python"), "-c", "import atm_engine"]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            raise NotInstalledError("the native engine is not built in this environment")
    return program
