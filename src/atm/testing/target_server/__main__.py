"""Process of a `TargetServer`: `python -m atm.testing.target_server`, its options as JSON on standard input."""

from collections.abc import Callable
from functools import partial
from typing import Any

from atm import entry_point
from atm.testing.server_process import run_child
from atm.testing.target_server.foreground import serve
from atm.testing.target_server.options import ServerOptions


def _serve(configuration: str, report: Callable[[dict[str, Any]], None]) -> None:
    serve(
        options=ServerOptions.from_json(configuration),
        on_ready=lambda addresses: report(
            {"host": addresses.host, "port": addresses.port, "tls_port": addresses.tls_port}
        ),
        stop_with_input=True,
    )


if __name__ == "__main__":
    entry_point.run(partial(run_child, _serve))
