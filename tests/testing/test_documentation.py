from __future__ import annotations

import re
from pathlib import Path

import atm.testing.target_server
from atm.testing.target_server.route_table import ROUTES


def test_the_packages_docstring_names_every_route_and_no_other() -> None:
    table = (atm.testing.target_server.__doc__ or "").partition("with latency")[2].partition("\n\n")[0]
    assert set(re.findall(r"/\S*", table)) == {route.pattern for route in ROUTES}


def test_the_page_of_the_shop_names_every_route_of_it_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/shop.md").read_text("utf-8")
    patterns = {route.pattern for route in ROUTES if route.pattern.startswith("/shop")}
    assert set(re.findall(r"^\| `[A-Z]+ (/shop\S*)` \|", page, re.MULTILINE)) == patterns
