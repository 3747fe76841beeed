"""Process of an `Http2Server`: `python -m atm.testing.http2_server`, its options as JSON on standard input."""

import asyncio
import json
import signal
import ssl
import sys
from collections.abc import Callable
from typing import Any

from atm.errors import Problem, TargetServerError
from atm.testing.server_process import run_child, watch_input


async def _serve(options: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
    try:
        from atm.testing.http2_server.connection import Connection, Seen
    except ModuleNotFoundError as missing:
        raise TargetServerError(
            Problem(f"the HTTP/2 server needs the package {missing.name}", "missing_package", hint="pip install h2")
        ) from missing
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watch_input(loop, stop)
    seen = Seen(options["max_streams"], options["window"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options["certificate"], options["key"])
    if options["protocols"]:
        context.set_alpn_protocols(options["protocols"])
    plain = await loop.create_server(lambda: Connection(seen), "127.0.0.1", 0, backlog=512)
    over_tls = await loop.create_server(lambda: Connection(seen), "127.0.0.1", 0, backlog=512, ssl=context)
    control = await asyncio.start_server(seen.control, "127.0.0.1", 0)
    servers = {"port": plain, "tls_port": over_tls, "control_port": control}
    report({name: server.sockets[0].getsockname()[1] for name, server in servers.items()})
    await stop.wait()
    for server in servers.values():
        server.close()


if __name__ == "__main__":
    sys.exit(run_child(lambda configuration, report: asyncio.run(_serve(json.loads(configuration), report))))
