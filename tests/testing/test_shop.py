"""The shop of the target server, over the wire of a running process."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from threading import Thread
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from atm.testing import TargetServer
from atm.testing.target_server.shop.catalogue import Catalogue
from tests.testing.wire import Answer, Wire

FORM = "Content-Type: application/x-www-form-urlencoded"
TYPE_JSON = "Content-Type: application/json"


@pytest.fixture
def wire(target: TargetServer) -> Iterator[Wire]:
    with Wire(target.port) as wire:
        yield wire


def post(wire: Wire, route: str, document: object, *headers: str) -> Answer:
    return wire.get(route, TYPE_JSON, *headers, method="POST", body=json.dumps(document).encode())


def reset(wire: Wire, **options: int) -> None:
    assert wire.get(f"/shop/reset?{urlencode(options)}", method="POST").status == 200


def login(wire: Wire, number: int = 1) -> str:
    """Log in and return the header of the session."""
    given = {"name": f"user{number:04d}", "password": f"password{number:04d}"}
    answer = post(wire, "/shop/login", given)
    assert answer.status == 200, answer.body
    return f"Authorization: Bearer {json.loads(answer.body)['token']}"


def read(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    return json.loads(answer.body)


def books(wire: Wire) -> Any:
    return read(wire.get("/shop/books"))


def test_a_journey_from_login_to_a_paid_order_is_in_the_books(wire: Wire) -> None:
    reset(wire, pay_ms=3_600_000, pay_polls=3)
    session = login(wire, 7)
    listed = read(wire.get("/shop/products?size=3&page=2", session))
    assert [item["id"] for item in listed["items"]] == [4, 5, 6]
    opened = read(wire.get("/shop/products/4", session))
    assert opened == listed["items"][0]
    cart = read(post(wire, "/shop/cart", {"product": 4, "quantity": 2}, session), 201)
    read(post(wire, "/shop/cart", {"product": "5"}, session), 201)
    assert cart == {"items": [{"product": 4, "quantity": 2, "price": opened["price"]}], "total": opened["price"] * 2}
    answer = wire.get("/shop/orders", session, method="POST")
    placed = read(answer, 202)
    total = round(opened["price"] * 2 + listed["items"][1]["price"], 2)
    assert placed == {"order": 1, "total": total, "state": "new"}
    assert read(wire.get("/shop/cart", session)) == {"items": [], "total": 0}
    states = [read(wire.get(answer.headers["location"], session))["state"] for _ in range(4)]
    assert states == ["new", "new", "paid", "paid"]
    found = books(wire)
    assert (found["logins"], found["orders"], found["items_sold"], found["revenue"]) == (1, 1, 3, total)
    assert found["stock_left"] == found["stock_at_start"] - 3
    assert found["accounts"] == {"user0007": {"requests": 11, "logins": 1, "orders": 1, "items": 3}}
    assert found["requests"] == {
        "POST /shop/login": 1,
        "GET /shop/products": 1,
        "GET /shop/products/{id}": 1,
        "POST /shop/cart": 2,
        "POST /shop/orders": 1,
        "GET /shop/cart": 1,
        "GET /shop/orders/{id}": 4,
        "GET /shop/books": 1,
    }


def test_an_order_is_paid_after_its_time(wire: Wire) -> None:
    reset(wire, pay_ms=50, pay_polls=1_000_000)
    session = login(wire)
    made = time.monotonic()
    where = post(wire, "/shop/orders", {"product": 1}, session).headers["location"]
    while read(wire.get(where, session))["state"] == "new":
        assert time.monotonic() < made + 60
    assert time.monotonic() - made >= 0.05


def test_the_cookie_of_a_login_opens_the_same_session_until_logout(wire: Wire) -> None:
    answer = wire.get("/shop/login", FORM, method="POST", body=b"name=user0012&password=password0012")
    token = read(answer)["token"]
    cookie, _, attributes = answer.headers["set-cookie"].partition(";")
    assert cookie == f"shop_session={token}"
    assert attributes == " Path=/shop; Max-Age=3600; HttpOnly; SameSite=Lax"
    read(post(wire, "/shop/cart", {"product": 3}, f"Cookie: a=b; {cookie}"), 201)
    assert len(read(wire.get("/shop/cart", f"Authorization: bearer {token}"))["items"]) == 1
    assert wire.get("/shop/logout", f"Cookie: {cookie}", method="POST").status == 204
    refused = wire.get("/shop/cart", f"Cookie: {cookie}")
    assert read(refused, 401)["error"] == "unauthorized"
    assert refused.headers["www-authenticate"] == "Bearer"


def test_a_session_ends_after_its_lifetime(wire: Wire) -> None:
    reset(wire, session_s=1)
    session = login(wire)
    began = time.monotonic()
    assert wire.get("/shop/cart", session).status == 200
    while wire.get("/shop/cart", session).status == 200:
        assert time.monotonic() < began + 60
        time.sleep(0.05)
    assert time.monotonic() - began >= 0.9


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [
        ("user0001", "password0001", 200),
        ("user100000", "password100000", 200),
        ("user100001", "password100001", 401),
        ("user0000", "password0000", 401),
        ("user00001", "password0001", 401),
        ("user0001", "password0002", 401),
        ("ada", "secret", 401),
        ("", "x", 422),
        (3, "x", 422),
    ],
)
def test_generated_accounts_have_the_documented_names(wire: Wire, name: object, password: str, status: int) -> None:
    read(post(wire, "/shop/login", {"name": name, "password": password}), status)
    assert books(wire)["logins_refused"] == int(status == 401)


def test_a_registered_account_signs_in_and_its_name_is_taken(wire: Wire) -> None:
    given = {"name": "ada@example.com", "password": "secret"}
    assert read(post(wire, "/shop/accounts", given), 201) == {"name": "ada@example.com"}
    assert read(post(wire, "/shop/accounts", given), 409)["error"] == "name_taken"
    assert read(post(wire, "/shop/accounts", {**given, "name": "user0001"}), 409)["error"] == "name_taken"
    assert read(post(wire, "/shop/accounts", {**given, "name": "a b"}), 422)["field"] == "name"
    assert read(post(wire, "/shop/login", given))["account"] == "ada@example.com"
    assert books(wire)["registered"] == 1


def test_pages_link_to_each_other_and_a_search_finds_by_name(wire: Wire) -> None:
    catalogue = Catalogue(1, 1000, None)
    first = wire.get("/shop/products?size=400")
    assert read(first, 422)["message"] == "size=400 is not between 1 and 100"
    lamps = [product.number for product in catalogue.products if "lamp" in product.name.lower()]
    found: list[int] = []
    target: str | None = f"/shop/products?size=30&q={quote('LaMp')}"
    while target:
        answer = wire.get(target)
        page = read(answer)
        assert page["total"] == len(lamps)
        found += [item["id"] for item in page["items"]]
        links = {
            link.partition('rel="')[2][:-1]: link.partition(">")[0].lstrip("<")
            for link in answer.headers["link"].split(", ")
        }
        assert links["last"].startswith(f"/shop/products?page={page['pages']}&")
        target = links.get("next")
    assert found == lamps
    assert read(wire.get("/shop/products?q=nothing"))["total"] == 0


def test_the_same_seed_gives_the_same_shop(wire: Wire) -> None:
    def look(seed: int) -> tuple[bytes, str]:
        reset(wire, seed=seed)
        return wire.get("/shop/products?size=100").body, login(wire)

    assert look(5) == look(5)
    assert look(5) != look(6)


def test_stock_is_never_sold_twice_whatever_the_number_of_connections(target: TargetServer, wire: Wire) -> None:
    reset(wire, products=2, stock=100)
    statuses: list[list[int]] = [[] for _ in range(8)]

    def buy(number: int) -> None:
        with Wire(target.port) as own:
            session = login(own, number + 1)
            for _ in range(40):
                items = {"items": [{"product": 1, "quantity": 1}, {"product": 2, "quantity": 1}]}
                statuses[number].append(post(own, "/shop/orders", items, session).status)

    threads = [Thread(target=buy, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = [status for each in statuses for status in each]
    assert (together.count(202), together.count(409)) == (100, 220)
    found = books(wire)
    assert (found["items_sold"], found["stock_left"], found["orders_refused"]) == (200, 0, 220)
    assert sum(account["orders"] for account in found["accounts"].values()) == 100


def test_a_refused_order_changes_nothing(wire: Wire) -> None:
    session = login(wire)
    read(post(wire, "/shop/cart", {"product": 1, "quantity": 2}, session), 201)
    cart = read(post(wire, "/shop/cart", {"product": 20, "quantity": 6}, session), 201)
    refused = read(wire.get("/shop/orders", session, method="POST"), 409)
    assert (refused["error"], refused["product"], refused["stock"]) == ("out_of_stock", 20, 5)
    assert read(wire.get("/shop/cart", session)) == cart
    assert books(wire)["items_sold"] == 0
    assert wire.get("/shop/cart?product=20", session, method="DELETE").status == 204
    assert read(wire.get("/shop/orders", session, method="POST"), 202)["order"] == 1
    assert read(wire.get("/shop/orders", session, method="POST"), 422)["error"] == "nothing_to_order"


def test_an_order_belongs_to_its_account(wire: Wire) -> None:
    where = post(wire, "/shop/orders", {"product": 1}, login(wire, 1)).headers["location"]
    assert wire.get(where, login(wire, 1)).status == 200
    assert read(wire.get(where, login(wire, 2)), 404)["error"] == "not_found"


@pytest.mark.parametrize("name", ["/shop/cart", "/shop/orders", "/shop/orders/1", "/shop/logout"])
def test_routes_with_a_session_answer_401_without_one(wire: Wire, name: str) -> None:
    method = "GET" if name in ("/shop/cart", "/shop/orders/1") else "POST"
    for headers in ((), ("Authorization: Bearer nonsense",), ("Cookie: shop_session=nonsense",)):
        assert read(wire.get(name, *headers, method=method), 401)["error"] == "unauthorized"
    assert books(wire)["unauthorized"] == 3


@pytest.mark.parametrize(
    ("method", "route", "body", "status", "error"),
    [
        ("GET", "/shop/login", b"", 405, "method_not_allowed"),
        ("PATCH", "/shop/cart", b"", 405, "method_not_allowed"),
        ("GET", "/shop/products/0", b"", 404, "not_found"),
        ("GET", "/shop/products/1001", b"", 404, "not_found"),
        ("GET", "/shop/products/" + "9" * 5000, b"", 404, "not_found"),
        ("GET", "/shop/products/%C2%B2", b"", 404, "not_found"),
        ("GET", "/shop/products?page=x", b"", 422, "invalid_parameter"),
        ("GET", "/shop/products?page=" + "9" * 5000, b"", 422, "invalid_parameter"),
        ("POST", "/shop/login", b"{", 400, "invalid_json"),
        ("POST", "/shop/login", b"[" * 100_000, 400, "invalid_json"),
        ("POST", "/shop/login", b"[1]", 422, "invalid_body"),
        ("POST", "/shop/cart", b'{"product": 0}', 422, "invalid_field"),
        ("POST", "/shop/cart", b'{"product": true}', 422, "invalid_field"),
        ("POST", "/shop/cart", b'{"product": 1, "quantity": 1001}', 422, "invalid_field"),
        ("POST", "/shop/cart", b'{"product": 5000}', 404, "not_found"),
        ("DELETE", "/shop/cart?product=3", b"", 404, "not_found"),
        ("POST", "/shop/orders", b'{"items": []}', 422, "invalid_field"),
        ("POST", "/shop/orders", b'{"items": [1]}', 422, "invalid_field"),
        ("GET", "/shop/orders/x", b"", 404, "not_found"),
        ("POST", "/shop/graphql", b"{", 400, "invalid_json"),
        ("POST", "/shop/upload", b"x", 422, "invalid_multipart"),
        ("POST", "/shop/reset?stocks=3", b"", 422, "invalid_parameter"),
        ("POST", "/shop/reset?products=0", b"", 422, "invalid_parameter"),
    ],
)
def test_every_error_is_json_with_a_code(
    wire: Wire, method: str, route: str, body: bytes, status: int, error: str
) -> None:
    answer = wire.get(route, TYPE_JSON, login(wire), method=method, body=body)
    document = read(answer, status)
    assert document["error"] == error, document
    assert document["message"]
    if status == 405:
        assert answer.headers["allow"]


def test_a_cart_is_bounded(wire: Wire) -> None:
    session = login(wire)
    read(post(wire, "/shop/cart", {"product": 1, "quantity": 1000}, session), 201)
    assert read(post(wire, "/shop/cart", {"product": 1}, session), 422)["error"] == "cart_full"


def test_an_upload_is_answered_with_the_digest_of_each_part(wire: Wire) -> None:
    file = bytes(range(256)) * 40 + b"\r\n--not-the-boundary\r\n\r\n"
    body = (
        b'--x1\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        b'--x1\r\nContent-Disposition: form-data; name="f\\"ile"; filename="a b.bin"\r\n'
        b"Content-Type: image/png\r\n\r\n" + file + b"\r\n--x1--\r\n"
    )
    answer = wire.get("/shop/upload", "Content-Type: multipart/form-data; boundary=x1", method="POST", body=body)
    assert read(answer, 201)["parts"] == [
        {
            "name": "note",
            "filename": None,
            "content_type": None,
            "size": 5,
            "sha256": hashlib.sha256(b"hello").hexdigest(),
        },
        {
            "name": 'f"ile',
            "filename": "a b.bin",
            "content_type": "image/png",
            "size": len(file),
            "sha256": hashlib.sha256(file).hexdigest(),
        },
    ]
    assert (books(wire)["uploads"], books(wire)["uploaded_bytes"]) == (1, 5 + len(file))


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("text/plain", b"--x--", "the content type is not multipart/form-data"),
        ("multipart/form-data", b"--x--", "the content type has no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nabc", "the last boundary is missing"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\nabc\r\n--x--", "a part has no name"),
        ("multipart/form-data; boundary=x", b"--x\r\nabc\r\n--x--", "a part has no empty line after its headers"),
    ],
)
def test_a_body_that_is_not_multipart_is_refused_with_the_reason(
    wire: Wire, content_type: str, body: bytes, message: str
) -> None:
    answer = wire.get("/shop/upload", f"Content-Type: {content_type}", method="POST", body=body)
    assert read(answer, 422)["message"] == message


def test_graphql_answers_its_schema_with_variables_and_aliases(wire: Wire) -> None:
    product = read(wire.get("/shop/products/3"))
    query = (
        "query Look($id: ID!, $n: Int = 2) { p: product(id: $id) { id name price stock } products(first: $n) { id } }"
    )
    answer = read(post(wire, "/shop/graphql", {"query": query, "variables": {"id": "3"}}))
    assert answer == {"data": {"p": {**product, "id": "3"}, "products": [{"id": "1"}, {"id": "2"}]}}
    assert read(post(wire, "/shop/graphql", {"query": "{product(id: 5000) {id}}"})) == {"data": {"product": None}}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{",
        "{ product(id: 1) { id }",
        "{ product(id: 1) }",
        "{ product { id } }",
        "{ product(id: 1) { weight } }",
        "{ customers { id } }",
        "{ products(last: 2) { id } }",
        "{ products(first: 101) { id } }",
        "{ products(first: $n) { id } }",
        "{ products { ...Parts } }",
        "mutation { order(product: 1) { id } }",
        "query A { products { id } } query B { products { id } }",
        "{ product(id: " + "9" * 5000 + ") { id } }",
        "{" * 5000,
        "{ product(id: 1) { id } } %",
    ],
)
def test_anything_else_in_graphql_is_an_error_in_a_200(wire: Wire, query: str) -> None:
    document = read(post(wire, "/shop/graphql", {"query": query}))
    assert document["data"] is None
    assert document["errors"][0]["message"]


def test_client_credentials_open_a_session_of_the_client(wire: Wire) -> None:
    form = {"grant_type": "client_credentials", "client_id": "atm-client", "client_secret": "atm-secret"}
    granted = read(wire.get("/shop/oauth/token", FORM, method="POST", body=urlencode(form).encode()))
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)
    assert wire.get("/shop/cart", f"Authorization: Bearer {granted['access_token']}").status == 200
    assert list(books(wire)["accounts"]) == ["atm-client"]
    wrong = urlencode({**form, "client_secret": "no"}).encode()
    assert read(wire.get("/shop/oauth/token", FORM, method="POST", body=wrong), 401)["error"] == "invalid_client"
    other = urlencode({**form, "grant_type": "password"}).encode()
    assert read(wire.get("/shop/oauth/token", FORM, method="POST", body=other), 400) == {
        "error": "unsupported_grant_type"
    }


def test_the_record_names_products_and_orders_by_their_pattern(target: TargetServer, wire: Wire) -> None:
    session = login(wire)
    wire.get("/shop/products/1")
    wire.get("/shop/products/2")
    wire.get("/shop/orders/9", session)
    routes = target.settled_stats().routes
    assert {name: route.received for name, route in routes.items()} == {
        "/shop/login": 1,
        "/shop/products/{id}": 2,
        "/shop/orders/{id}": 1,
    }


def test_a_reset_of_the_server_resets_the_shop(target: TargetServer, wire: Wire) -> None:
    reset(wire, products=3)
    session = login(wire)
    target.reset()
    assert read(wire.get("/shop/health")) == {"status": "ok", "products": 1000}
    assert wire.get("/shop/cart", session).status == 401
