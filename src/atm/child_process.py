"""Start our Python child processes, isolated from code in the working directory and from secrets they do not need.

`python -m` puts the working directory first on the import path, so a file `asyncio.py` in a cloned repository would run
inside our processes. Every child is started here: with `-P`, in one of our directories, with a umask that keeps its
files private, and with an allow-list of environment variables. A test lists all places that start processes.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PRIVATE_UMASK = 0o077
"""Files created by our processes are private to this user."""
_PASSED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD"),
        *("RES_OPTIONS", "LOCALDOMAIN", "RUST_BACKTRACE"),
    }
)
_PASSED_PREFIXES = ("LC_", "PYTHON", "MALLOC_", "GLIBC_")
DATABASE_PREFIXES = ("PG", "KRB5")
"""Prefixes of the variables that libpq reads: password file, certificates, Kerberos tickets."""

CLUSTER_PREFIXES = ("RAY_AUTH_", "RAY_TLS_", "RAY_USE_TLS")
"""Prefixes of the variables with which Ray proves who connects to a cluster."""


def environment(*prefixes: str) -> dict[str, str]:
    """Return the variables that every process needs, and those that begin with one of `prefixes`.

    API keys, the sealing key, database URLs and other variables of the parent are left out.
    """
    passed = (*_PASSED_PREFIXES, *prefixes)
    return isolated({name: value for name, value in os.environ.items() if name in _PASSED or name.startswith(passed)})


def isolated(variables: Mapping[str, str]) -> dict[str, str]:
    """Return `variables` with an import path of only this program and absolute directories."""
    inherited = [entry for entry in variables.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(entry)]
    source = str(Path(__file__).parents[1])
    # Variables and not only `-P`, for processes that a child starts itself, such as server workers.
    return {**variables, "PYTHONPATH": os.pathsep.join(dict.fromkeys([source, *inherited])), "PYTHONSAFEPATH": "1"}


def start(
    module: str,
    *arguments: str,
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a module as a process. Raises OSError.

    `directory` is its working directory (None: that of this process, for commands on the user's own files);
    `variables` its environment, by default `environment()`; `options` are passed to Popen.
    """
    return subprocess.Popen(
        _command(module, arguments),
        cwd=directory,
        env=environment() if variables is None else isolated(variables),
        umask=PRIVATE_UMASK,
        **options,
    )


_detached: list[subprocess.Popen[bytes]] = []
"""Processes that may outlive this one; without a reference, Python warns that they are still running."""


def start_detached(module: str, *, variables: Mapping[str, str]) -> None:
    """Start a module as a process that this one does not wait for, without input and output. Raises OSError."""
    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    _detached[:] = [process for process in _detached if process.poll() is None]
    _detached.append(start(module, variables=variables, start_new_session=True, **quiet))


async def start_async(
    module: str,
    *arguments: str,
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Any,
) -> asyncio.subprocess.Process:
    """Start a module as an asyncio subprocess; otherwise as `start`. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        *_command(module, arguments),
        cwd=directory,
        env=environment() if variables is None else isolated(variables),
        # uvloop does not support the argument `umask`.
        preexec_fn=_private,
        **options,
    )


def _private() -> None:
    os.umask(PRIVATE_UMASK)


def protect_workers() -> None:
    """Isolate processes that libraries start (uvicorn's workers) from the working directory too."""
    os.environ.update(isolated(os.environ))


def _command(module: str, arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-P", "-m", module, *arguments]
