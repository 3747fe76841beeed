"""The state of the shop, and its books."""

from __future__ import annotations

from typing import Any

from atm.dataclass import dataclass
from atm.testing.target_server.shop.accounts import Accounts
from atm.testing.target_server.shop.catalogue import Catalogue
from atm.testing.target_server.shop.orders import Orders


@dataclass(frozen=True, slots=True)
class ShopOptions:
    """What a reset of the shop may set."""

    seed: int = 1
    """Of names, prices and tokens."""
    accounts: int = 100_000
    """Generated accounts, `user0001` to `user100000`."""
    products: int = 1000
    stock: int | None = None
    """Pieces of each product; None for 10,000, and 5 of every 20th product."""
    pay_ms: int = 500
    """After this time, an order is paid."""
    pay_polls: int = 3
    """An order is paid at this poll at the latest."""
    session_s: int = 3600
    """Lifetime of a session."""


class Shop:
    """Accounts, products, orders and uploads in memory. Used in one thread, so every change is atomic."""

    def __init__(self, options: ShopOptions | None = None) -> None:
        self.reset(options or ShopOptions())

    def reset(self, options: ShopOptions) -> None:
        """Begin again: no session, no order, full stock, empty books."""
        self.options = options
        self.catalogue = Catalogue(options.seed, options.products, options.stock)
        self.accounts = Accounts(options.seed, options.accounts, options.session_s * 1_000_000_000)
        self.orders = Orders(self.catalogue, options.pay_ms * 1_000_000, options.pay_polls)
        self.requests: dict[str, int] = {}
        """Requests by method and route pattern."""
        self.refused = 0
        """Requests answered with 401."""
        self.uploads = 0
        self.uploaded_bytes = 0

    def books(self, with_accounts: bool) -> dict[str, Any]:
        """Return the truth about everything that happened since the last reset."""
        accounts, orders = self.accounts, self.orders
        document: dict[str, Any] = {
            "logins": accounts.logins,
            "logins_refused": accounts.logins_refused,
            "registered": len(accounts.registered),
            "sessions": len(accounts.sessions),
            "unauthorized": self.refused,
            "orders": orders.made,
            "orders_refused": orders.refused,
            "items_sold": orders.items,
            "revenue": orders.cents / 100,
            "stock_at_start": self.catalogue.first_stock,
            "stock_left": self.catalogue.stock_left,
            "uploads": self.uploads,
            "uploaded_bytes": self.uploaded_bytes,
            "accounts_seen": len(accounts.seen),
            "requests": self.requests,
        }
        if with_accounts:
            document["accounts"] = {
                account.name: {
                    "requests": account.requests,
                    "logins": account.logins,
                    "orders": account.orders,
                    "items": account.items,
                }
                for account in accounts.seen.values()
            }
        return document
