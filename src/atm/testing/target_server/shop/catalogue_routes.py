"""Routes to read the products: pages, one product, GraphQL."""

from __future__ import annotations

from urllib.parse import quote

from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.shop import graphql
from atm.testing.target_server.shop.service import JSON, RefusalError, json_body, open_route, respond
from atm.testing.target_server.shop.shop import Shop

MOST_PAGE_SIZE = 100


def _list(shop: Shop, exchange: Exchange) -> None:
    call = exchange.call
    page, size = call.integer("page", 1, 1, 1 << 31), call.integer("size", 20, 1, MOST_PAGE_SIZE)
    text = call.text("q", "")
    matches = shop.catalogue.search(text)
    pages = max((len(matches) + size - 1) // size, 1)
    items = b", ".join([product.to_json() for product in matches[(page - 1) * size : page * size]])
    body = b'{"items": [%s], "page": %d, "size": %d, "pages": %d, "total": %d}' % (
        items,
        page,
        size,
        pages,
        len(matches),
    )
    exchange.respond(200, body, JSON, [("Link", _links(page, pages, size, text))])


def _links(page: int, pages: int, size: int, text: str) -> str:
    """Return the value of a Link header (RFC 8288)."""
    targets = [("first", 1), ("last", pages)]
    if page > 1:
        targets.append(("prev", min(page - 1, pages)))
    if page < pages:
        targets.append(("next", page + 1))
    query = f"&q={quote(text, safe='')}" if text else ""
    return ", ".join(f'</shop/products?page={number}&size={size}{query}>; rel="{name}"' for name, number in targets)


def _product(shop: Shop, exchange: Exchange) -> None:
    text = exchange.call.text("id")
    product = shop.catalogue.product(int(text)) if text.isascii() and text.isdigit() and len(text) < 16 else None
    if product is None:
        raise RefusalError(404, "not_found", f"there is no product {text[:40]}")
    exchange.respond(200, product.to_json(), JSON)


def _graphql(shop: Shop, exchange: Exchange) -> None:
    respond(exchange, 200, graphql.answer(shop.catalogue, json_body(exchange)))


ROUTES = (
    open_route(
        "/shop/products", "GET `?page=1&size=20&q=`: products by pages, with `total` and a Link header", {"GET": _list}
    ),
    open_route("/shop/products/{id}", "GET: id, name, price and stock of a product; or 404", {"GET": _product}),
    open_route(
        "/shop/graphql",
        "POST `query`, `variables`, `operationName`: `product(id:)` and `products(first:)`; else `errors` in a 200",
        {"POST": _graphql},
    ),
)
