from __future__ import annotations

import re

import atm.testing.target_server
from atm.testing.target_server.route_table import ROUTES


def test_the_packages_docstring_names_every_route_and_no_other() -> None:
    table = (atm.testing.target_server.__doc__ or "").partition("a small shop")[2].partition("\n\n")[0]
    assert set(re.findall(r"/\S*", table)) == {route.pattern for route in ROUTES}
