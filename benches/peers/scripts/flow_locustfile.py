"""The journey of benches/flow.py for Locust's cheaper user, on geventhttpclient."""

from __future__ import annotations

from locust import FastHttpUser, task


class Customer(FastHttpUser):
    """Repeats the three steps."""

    @task
    def shop(self) -> None:
        with self.client.get("/products", name="list", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure("status")
            product = answer.json()["items"][1]["id"]
        with self.client.get(f"/products/{product}", name="open", catch_response=True) as answer:
            opened = answer.json()
            if opened["state"] not in ("new", "open"):
                answer.failure("state")
        order = {"product": product, "coupon": opened["coupon"]}
        with self.client.post("/orders", json=order, name="order", catch_response=True) as answer:
            if not answer.json()["total"] >= 0:
                answer.failure("total")
