"""Reports spell figures with the rules of the models, all of them."""

from __future__ import annotations

from atm.models import figures as rules
from atm.reports import figures


def test_reports_offer_every_rule() -> None:
    public = {name for name, value in vars(rules).items() if not name.startswith("_") and callable(value)}
    assert public - {"Decimal"} <= set(figures.__all__)
    assert all(getattr(figures, name) is getattr(rules, name) for name in figures.__all__)
