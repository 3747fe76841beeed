"""The journey of benches/flow.py as a scenario in Python."""

from __future__ import annotations

import atm


@atm.scenario
async def shop(user: atm.User) -> None:
    """Repeats the three steps."""
    listed = await user.get("/products", name="list")
    listed.check("status", listed.status == 200)
    product = listed.json()["items"][1]["id"]
    opened = await user.get(f"/products/{product}", name="open")
    details = opened.json()
    opened.check("state", details["state"] in ("new", "open"))
    ordered = await user.post("/orders", json={"product": product, "coupon": details["coupon"]}, name="order")
    ordered.check("total", ordered.json()["total"] >= 0)
