"""A forward proxy for tests: CONNECT tunnels and absolute-form requests, and a list of what it was asked.

Imports `errors` and the process machinery of `atm.testing`. Start reading with `proxy.py` (what tests hold), then
`relay.py` (what it does). It dials this machine only, so nothing that a test sends can leave it.
"""

from atm.testing.proxy_server.proxy import ProxyRequest, ProxyServer

__all__ = ["ProxyRequest", "ProxyServer"]
