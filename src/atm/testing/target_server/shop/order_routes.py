"""Routes of the cart and of orders."""

from __future__ import annotations

from typing import Any

from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.shop.accounts import Session
from atm.testing.target_server.shop.orders import Order
from atm.testing.target_server.shop.service import RefusalError, fields, respond, session_route, whole_number
from atm.testing.target_server.shop.shop import Shop

MOST_PIECES = 1000
"""Of one product in a cart or an order."""
MOST_LINES = 100
"""Different products in a cart or an order."""


def _cart(shop: Shop, exchange: Exchange, session: Session) -> None:
    respond(exchange, 200, _cart_document(shop, session))


def _add(shop: Shop, exchange: Exchange, session: Session) -> None:
    product, quantity = _line(shop, fields(exchange))
    pieces = session.cart.get(product, 0) + quantity
    if pieces > MOST_PIECES or (product not in session.cart and len(session.cart) >= MOST_LINES):
        raise RefusalError(
            422, "cart_full", f"a cart holds {MOST_LINES} products, and {MOST_PIECES} pieces of each, at most"
        )
    session.cart[product] = pieces
    respond(exchange, 201, _cart_document(shop, session))


def _empty(_: Shop, exchange: Exchange, session: Session) -> None:
    text = exchange.call.parameters.get("product")
    if text is None:
        session.cart.clear()
    elif session.cart.pop(whole_number(text, "product", 1, 1 << 53), None) is None:
        raise RefusalError(404, "not_found", f"product {text} is not in the cart")
    exchange.respond(204)


def _order(shop: Shop, exchange: Exchange, session: Session) -> None:
    given = fields(exchange)
    from_cart = not ("items" in given or "product" in given)
    quantities = session.cart if from_cart else _lines(shop, given)
    if not quantities:
        raise RefusalError(422, "nothing_to_order", "the cart is empty, and the body has no items")
    order = shop.orders.place(session, quantities, exchange.arrived_ns)
    if not isinstance(order, Order):
        raise RefusalError(
            409,
            "out_of_stock",
            f"{order.stock} pieces of product {order.number} are left",
            product=order.number,
            stock=order.stock,
        )
    if from_cart:
        session.cart.clear()
    respond(exchange, 202, order.document(), [("Location", f"/shop/orders/{order.number}")])


def _state(shop: Shop, exchange: Exchange, session: Session) -> None:
    text = exchange.call.text("id")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
    order = shop.orders.poll(number, session.account.name, exchange.arrived_ns)
    if order is None:
        raise RefusalError(404, "not_found", f"this account has no order {text[:40]}")
    respond(exchange, 200, order.document())


def _cart_document(shop: Shop, session: Session) -> dict[str, Any]:
    cents = 0
    items = []
    for number, quantity in session.cart.items():
        product = shop.catalogue.products[number - 1]
        cents += product.cents * quantity
        items.append({"product": number, "quantity": quantity, "price": product.cents / 100})
    return {"items": items, "total": cents / 100}


def _lines(shop: Shop, given: dict[str, Any]) -> dict[int, int]:
    entries = given.get("items", [given])
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_LINES:
        raise RefusalError(422, "invalid_field", f"items must be a list of 1 to {MOST_LINES} objects", field="items")
    quantities: dict[int, int] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise RefusalError(422, "invalid_field", "each of items must be an object", field="items")
        product, quantity = _line(shop, entry)
        quantities[product] = quantities.get(product, 0) + quantity
    return quantities


def _line(shop: Shop, given: dict[str, Any]) -> tuple[int, int]:
    product = whole_number(given.get("product"), "product", 1, 1 << 53)
    quantity = whole_number(given.get("quantity", 1), "quantity", 1, MOST_PIECES)
    if shop.catalogue.product(product) is None:
        raise RefusalError(404, "not_found", f"there is no product {product}")
    return product, quantity


ROUTES = (
    session_route(
        "/shop/cart",
        "GET: the session's cart; POST `product`, `quantity`: 201, adds pieces; DELETE `?product=`: 204, empties it",
        {"GET": _cart, "POST": _add, "DELETE": _empty},
    ),
    session_route(
        "/shop/orders",
        "POST: 202 and a Location; orders the cart, or `product`, `quantity`, or `items`; 409 if the stock is less",
        {"POST": _order},
    ),
    session_route(
        "/shop/orders/{id}", "GET: an order of this account, `new` and later `paid`; or 404", {"GET": _state}
    ),
)
