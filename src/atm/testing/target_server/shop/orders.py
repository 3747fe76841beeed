"""Orders of the shop: all pieces of an order leave the stock together, or none does."""

from __future__ import annotations

from collections.abc import Mapping

from atm.dataclass import dataclass
from atm.testing.target_server.shop.accounts import Session
from atm.testing.target_server.shop.catalogue import Catalogue, Product

ORDERS_LIMIT = 1_000_000
"""Beyond it, the oldest order is forgotten; the books keep its figures."""


@dataclass(slots=True)
class Order:
    """An order. It is paid at its `pay_polls`-th poll, or `pay_ns` after it was made, whichever is first."""

    number: int
    account: str
    cents: int
    items: int
    made_ns: int
    polls: int = 0
    is_paid: bool = False

    def document(self) -> dict[str, object]:
        """Return the order as the routes answer it."""
        return {"order": self.number, "total": self.cents / 100, "state": "paid" if self.is_paid else "new"}


class Orders:
    """All orders, and their figures."""

    def __init__(self, catalogue: Catalogue, pay_ns: int, pay_polls: int) -> None:
        self.made = 0
        self.refused = 0
        """Orders of more pieces than there were."""
        self.items = 0
        self.cents = 0
        self._catalogue = catalogue
        self._pay_ns = pay_ns
        self._pay_polls = pay_polls
        self._orders: dict[int, Order] = {}

    def place(self, session: Session, quantities: Mapping[int, int], now_ns: int) -> Order | Product:
        """Make an order of existing products, or return the first product whose stock is too small."""
        products = {number: self._catalogue.products[number - 1] for number in quantities}
        for number, quantity in quantities.items():
            if products[number].stock < quantity:
                self.refused += 1
                return products[number]
        cents = items = 0
        for number, quantity in quantities.items():
            products[number].stock -= quantity
            cents += products[number].cents * quantity
            items += quantity
        self.made += 1
        self.items += items
        self.cents += cents
        session.account.orders += 1
        session.account.items += items
        order = Order(self.made, session.account.name, cents, items, now_ns)
        if len(self._orders) >= ORDERS_LIMIT:
            del self._orders[next(iter(self._orders))]
        self._orders[order.number] = order
        return order

    def poll(self, number: int, account: str, now_ns: int) -> Order | None:
        """Return an order of this account, paid if it is time; None if the account has no such order."""
        order = self._orders.get(number)
        if order is None or order.account != account:
            return None
        order.polls += 1
        if order.polls >= self._pay_polls or now_ns - order.made_ns >= self._pay_ns:
            order.is_paid = True
        return order
