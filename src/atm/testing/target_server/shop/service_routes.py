"""Routes of uploads, health, the books and the reset."""

from __future__ import annotations

import dataclasses
import hashlib

from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.shop import multipart
from atm.testing.target_server.shop.service import RefusalError, open_route, respond
from atm.testing.target_server.shop.shop import Shop, ShopOptions

_MOST = {
    "seed": (0, 1 << 62),
    "accounts": (0, 999_999_999),
    "products": (1, 100_000),
    "stock": (0, 1_000_000_000),
    "pay_ms": (0, 86_400_000),
    "pay_polls": (1, 1_000_000),
    "session_s": (1, 31_536_000),
}


def _upload(shop: Shop, exchange: Exchange) -> None:
    try:
        parts = multipart.parts(exchange.header(b"content-type") or b"", bytes(exchange.body))
    except multipart.MultipartError as error:
        raise RefusalError(422, "invalid_multipart", str(error)) from error
    shop.uploads += 1
    shop.uploaded_bytes += sum(len(part.content) for part in parts)
    documents = [
        {
            "name": part.name,
            "filename": part.filename,
            "content_type": part.content_type,
            "size": len(part.content),
            "sha256": hashlib.sha256(part.content).hexdigest(),
        }
        for part in parts
    ]
    respond(exchange, 201, {"parts": documents})


def _health(shop: Shop, exchange: Exchange) -> None:
    respond(exchange, 200, {"status": "ok", "products": len(shop.catalogue.products)})


def _books(shop: Shop, exchange: Exchange) -> None:
    respond(exchange, 200, shop.books(with_accounts=exchange.call.text("accounts", "1") != "0"))


def _reset(shop: Shop, exchange: Exchange) -> None:
    call = exchange.call
    unknown = [name for name in call.parameters if name not in _MOST and name != "as"]
    if unknown:
        raise RefusalError(422, "invalid_parameter", f"{unknown[0]} is none of {', '.join(_MOST)}")
    given = {
        name: call.integer(name, None, least, most) for name, (least, most) in _MOST.items() if name in call.parameters
    }
    shop.reset(ShopOptions(**given))
    respond(exchange, 200, dataclasses.asdict(shop.options))


ROUTES = (
    open_route("/shop/upload", "POST multipart/form-data: 201; name, size and sha256 of each part", {"POST": _upload}),
    open_route("/shop/health", "GET: status and number of products", {"GET": _health}),
    open_route(
        "/shop/books",
        "GET `?accounts=1`: logins, orders, items sold, stock left, requests by route and by account",
        {"GET": _books},
    ),
    open_route(
        "/shop/reset",
        "POST `?seed=&accounts=&products=&stock=&pay_ms=&pay_polls=&session_s=`: begins again with these options",
        {"POST": _reset},
    ),
)
