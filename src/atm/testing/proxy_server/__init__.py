"""A forward proxy for tests: CONNECT tunnels, absolute-form requests, and a list of its requests.

Imports `errors` and the process handling of `atm.testing`. Start reading with `proxy.py` (used by tests), then
`relay.py`. It dials this machine only, so that tests cannot send anything elsewhere.
"""

from atm.testing.proxy_server.proxy import ProxyRequest, ProxyServer

__all__ = ["ProxyRequest", "ProxyServer"]
