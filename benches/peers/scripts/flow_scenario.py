"""The journey of benches/flow.py as a scenario in Python."""

from __future__ import annotations

import atm


@atm.scenario
async def shop(user: atm.User) -> None:
    answer = await user.get("/products", name="list")
    answer.check("listed", answer.status == 200)
    product = answer.json()["items"][1]["id"]
    answer = await user.get(f"/products/{product}", name="open")
    opened = answer.json()
    answer.check("state", opened["state"] in ("new", "open"))
    answer = await user.post("/orders", json={"product": product, "coupon": opened["coupon"]}, name="order")
    answer.check("total", answer.json()["total"] >= 0)
