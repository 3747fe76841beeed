"""The measured journey: three steps with two extracts and three checks, and the same requests as endpoints."""

from __future__ import annotations

from typing import Any

BODY = (
    '{"id":4711,"state":"open","total":59.97,"currency":"EUR","items":[{"id":17,"name":"Lamp","price":19.99,"stock":3},'
    '{"id":18,"name":"Table","price":39.98,"stock":0}],"customer":{"id":42,"name":"Ann Example","city":"Berlin"},'
    '"coupon":"8a1f0c5e7d2","links":{"self":"/orders/4711"},"created":"2026-01-31"}'
)
"""The answer to every request: 300 bytes of JSON."""

USERS = 64
REQUESTS = 3
"""Requests of one iteration."""

_CHECKS = ["status == 200", "$.state in [new, open]", "$.total >= 0"]
_EXTRACTS = {"product": "$.items[1].id", "coupon": "$.coupon"}


def journey(base_url: str, *, each_step: bool = False) -> dict[str, Any]:
    """Return the spec of the journey, without its load. `each_step`: every step has all checks and both extracts."""
    everything: dict[str, Any] = {"checks": _CHECKS, "extract": _EXTRACTS}
    parts: list[dict[str, Any]] = [
        {"checks": _CHECKS[:1], "extract": {"product": _EXTRACTS["product"]}},
        {"checks": _CHECKS[1:2], "extract": {"coupon": _EXTRACTS["coupon"]}},
        {"checks": _CHECKS[2:]},
    ]
    first, second, third = [everything] * REQUESTS if each_step else parts
    steps = [
        {"GET": "/products", "name": "list", **first},
        {"GET": "/products/{{product}}", "name": "open", **second},
        {"POST": "/orders", "name": "order", "json": {"product": "{{product}}", "coupon": "{{coupon}}"}, **third},
    ]
    return {"name": "journey", "base_url": base_url, "seed": 1, "scenarios": {"shop": {"steps": steps}}}


def endpoints(base_url: str) -> dict[str, Any]:
    """Return the spec of the same three requests as endpoints, without its load."""
    order = {"product": 18, "coupon": "8a1f0c5e7d2"}
    requests = [
        {"name": "list", "url": "/products"},
        {"name": "open", "url": "/products/18"},
        {"name": "order", "url": "/orders", "method": "POST", "json": order},
    ]
    return {"name": "plain", "base_url": base_url, "seed": 1, "endpoints": requests}
