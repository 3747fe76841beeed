from __future__ import annotations

import re
from pathlib import Path

import atm.testing.target_server
from atm.testing.target_server.route_table import ROUTES, markdown

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "target-server.md"


def test_the_page_has_the_tables_that_the_routes_make() -> None:
    assert markdown() in PAGE.read_text(), "put what route_table.markdown() gives into docs/reference/target-server.md"


def test_the_packages_docstring_names_every_route_and_no_other() -> None:
    table = (atm.testing.target_server.__doc__ or "").partition("a small shop")[2].partition("\n\n")[0]
    assert set(re.findall(r"/\S*", table)) == {route.pattern for route in ROUTES}
