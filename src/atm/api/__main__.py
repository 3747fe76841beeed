"""Run the server from a shell, with settings from the environment: `python -m atm.api`. Imports little before `run`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from atm import entry_point


def main() -> int:
    """Serve until a signal ends it; return 1 if that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m atm.api")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--for-parent", action="store_true")
    given = parser.parse_args()
    named = {"ATM_DATA_DIR": given.data_dir, "ATM_TLS_CERT": given.tls_cert, "ATM_TLS_KEY": given.tls_key}
    os.environ.update({name: str(path) for name, path in named.items() if path is not None})
    from atm.api.server import serve
    from atm.errors import AtmError

    try:
        serve(given.host, given.port, given.workers, for_parent=given.for_parent)
    except AtmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    entry_point.run(main)
