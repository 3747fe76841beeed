"""An HTTP/2 test server: correct through the `h2` package, a second implementation, and hostile with exact frames.

Imports `errors` and the process handling of `atm.testing`; its process needs the `h2` package. Start reading with
`server.py` (used by tests), then `connection.py` and `routes.py`.
"""

from atm.testing.http2_server.server import Http2Record, Http2Request, Http2Server

__all__ = ["Http2Record", "Http2Request", "Http2Server"]
