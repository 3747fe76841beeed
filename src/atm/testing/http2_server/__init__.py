"""An HTTP/2 server for tests: honest by the `h2` package, a second implementation, and hostile by exact frames.

Imports `errors` and the process machinery of `atm.testing`; its process needs the `h2` package. Start reading with
`server.py` (what tests hold), then `connection.py` (what it does with a connection) and `routes.py` (with a request).
"""

from atm.testing.http2_server.server import Http2Record, Http2Request, Http2Server

__all__ = ["Http2Record", "Http2Request", "Http2Server"]
