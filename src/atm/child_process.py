"""Start Python processes of our own: without code from the working directory, and without secrets they do not need.

`python -m` puts the working directory first on the import path, so a file `asyncio.py` in a cloned repository would run
inside of our processes. Every child is started here: with `-P`, in a directory of ours, with files that only this user
may read, and with an environment that is chosen, not inherited. A test lists all places that start processes.
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
"""Files of our processes are for this user only."""
_KEPT = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD"),
        *("RES_OPTIONS", "LOCALDOMAIN", "RUST_BACKTRACE"),
    }
)
_KEPT_PREFIXES = ("LC_", "PYTHON", "MALLOC_", "GLIBC_")
DATABASE_PREFIXES = ("PG", "KRB5")
"""What PostgreSQL's client reads of the environment: password file, certificates, Kerberos tickets."""


def environment(*prefixes: str, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that any process needs to work, and those that begin with one of `prefixes`.

    API keys, the sealing key, database URLs and whatever else the parent holds stay behind.
    """
    base = os.environ if base is None else base
    kept = (*_KEPT_PREFIXES, *prefixes)
    return isolated({name: value for name, value in base.items() if name in _KEPT or name.startswith(kept)})


def isolated(variables: Mapping[str, str]) -> dict[str, str]:
    """`variables`, with an import path that holds this program and absolute directories only."""
    inherited = [entry for entry in variables.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(entry)]
    source = str(Path(__file__).parents[1])
    # For what a child starts by other means, such as the workers of a server.
    return {**variables, "PYTHONPATH": os.pathsep.join(dict.fromkeys([source, *inherited])), "PYTHONSAFEPATH": "1"}


def start(
    module: str,
    *arguments: str,
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a module as a process. Raises OSError.

    `directory` becomes its working directory (None: that of this process, for what the user runs on their own files);
    `variables` its environment, by default `environment()`. `options` are pipes, session and group as Popen takes them.
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
    """`start` for the event loop, which is notified of its end. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        *_command(module, arguments),
        cwd=directory,
        env=environment() if variables is None else isolated(variables),
        # uvloop does not know the argument `umask`.
        preexec_fn=_private,
        **options,
    )


def _private() -> None:
    os.umask(PRIVATE_UMASK)


def protect_workers() -> None:
    """Have processes that libraries start for us (uvicorn's workers) ignore the working directory as well."""
    os.environ.update(isolated(os.environ))


def _command(module: str, arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-P", "-m", module, *arguments]
