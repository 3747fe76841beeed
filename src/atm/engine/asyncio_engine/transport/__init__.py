"""How requests travel: addresses, dialling, connections, TLS, redirects, proxies.

Knows no figures and no schedule: it counts through `ConnectionEvents` and reports the result of a request to its
`Exchange` (`exchange.py`). Start with `pool.py` (the connections of one user), then `connection.py` and `dialer.py`.
"""
