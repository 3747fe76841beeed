"""A FastHttpUser that judges responses itself, in with-blocks."""

from locust import FastHttpUser, task
from locust.exception import StopUser


class Customer(FastHttpUser):
    @task
    def shop(self):
        with self.client.get("/shop/products?page=3", name="list", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure("status")
            product = answer.json()["items"][1]["id"]
        with self.client.get(f"/shop/products/{product}", name="open", catch_response=True) as answer:
            if answer.json()["price"] >= 0:
                answer.failure("too cheap")
        with self.client.get("/shop/products/5000", name="missing", catch_response=True) as answer:
            if answer.status_code == 404:
                answer.success()
        with self.client.get("/status/503", name="down", catch_response=True):
            pass
        with self.client.get("/status/204", name="empty", catch_response=True) as answer:
            assert answer.content == b"" and answer.ok
        raise StopUser()
