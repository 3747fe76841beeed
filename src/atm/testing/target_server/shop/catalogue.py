"""The products of the shop, drawn from a seed, and the stock of each."""

from __future__ import annotations

import json

from atm.dataclass import dataclass
from atm.testing.target_server.distributions import uniform

_KINDS = ("Lamp", "Chair", "Kettle", "Notebook", "Backpack", "Clock", "Teapot", "Blanket", "Mirror", "Bicycle")
_QUALITIES = ("Small", "Large", "Red", "Blue", "Green", "Folding", "Wooden", "Steel", "Quiet", "Bright")
_PRICES = (199, 19_999)
"""The lowest and the highest price, in cents."""
USUAL_STOCK = 10_000
SCARCE_STOCK = 5
SCARCE_EVERY = 20
"""Without another setting, every 20th product begins with 5 pieces, the others with 10,000."""
_SEARCHES_LIMIT = 1024


@dataclass(slots=True)
class Product:
    """A product. `head` is its JSON up to the stock, since only the stock changes."""

    number: int
    name: str
    cents: int
    stock: int
    head: bytes

    def document(self) -> dict[str, object]:
        """Return the product as the routes answer it."""
        return {"id": self.number, "name": self.name, "price": self.cents / 100, "stock": self.stock}

    def to_json(self) -> bytes:
        """Return `document()` as JSON."""
        return b"%s%d}" % (self.head, self.stock)


class Catalogue:
    """Products with the numbers 1 to `count`. The same seed gives the same names, prices and stocks."""

    def __init__(self, seed: int, count: int, stock: int | None) -> None:
        self.products = [_product(seed, number, stock) for number in range(1, count + 1)]
        self.first_stock = sum(product.stock for product in self.products)
        self._searches: dict[str, list[Product]] = {}

    def product(self, number: int) -> Product | None:
        """Return the product with a number, or None."""
        return self.products[number - 1] if 1 <= number <= len(self.products) else None

    def search(self, text: str) -> list[Product]:
        """Return the products whose name contains the text, in any case; all of them for the empty text."""
        if not text:
            return self.products
        wanted = text.casefold()
        matches = self._searches.get(wanted)
        if matches is None:
            matches = [product for product in self.products if wanted in product.name.casefold()]
            if len(self._searches) < _SEARCHES_LIMIT:
                self._searches[wanted] = matches
        return matches

    @property
    def stock_left(self) -> int:
        """Pieces of all products together."""
        return sum(product.stock for product in self.products)


def _product(seed: int, number: int, stock: int | None) -> Product:
    quality = _QUALITIES[int(uniform(seed, number, 1) * len(_QUALITIES))]
    kind = _KINDS[int(uniform(seed, number, 2) * len(_KINDS))]
    low, high = _PRICES
    cents = low + int(uniform(seed, number, 3) * (high - low + 1))
    if stock is None:
        stock = USUAL_STOCK if number % SCARCE_EVERY else SCARCE_STOCK
    product = Product(number, f"{quality} {kind} {number}", cents, stock, b"")
    text = json.dumps(product.document())
    product.head = text[: text.rindex(":") + 2].encode()
    return product
