"""The rest method and rename_request; also requests that are sent to JSON routes."""

from locust import FastHttpUser, HttpUser, task
from locust.exception import StopUser


class Slow(HttpUser):
    @task
    def visit(self):
        with self.rest("GET", "/shop/products/7", name="product") as answer:
            assert answer.js["id"] == 7
        with self.rest("GET", "/fixed", name="no json") as answer:
            assert answer.js is None
        with self.rest("POST", "/echo", json={"a": 1}, name="wrong") as answer:
            assert answer.js["body"] == "something else", "not what was sent"
        with self.client.rename_request("renamed"):
            self.client.get("/fixed?bytes=1")
            self.client.get("/fixed?bytes=2")
        raise StopUser()


class Fast(FastHttpUser):
    default_headers = {"X-Default": "yes"}

    @task
    def visit(self):
        with self.rest("GET", "/shop/products/8", name="product") as answer:
            assert answer.js["id"] == 8
        with self.rest_("GET", "/shop/products?size=1") as answer:
            assert answer.js["size"] == 1
        with self.client.rename_request("renamed"):
            self.client.get("/fixed?bytes=3")
        echo = self.client.get("/echo", name="headers").json()
        sent = {name.lower(): value for name, value in echo["headers"]}
        assert sent["x-default"] == "yes"
        self.client.get("/fixed?bytes=3&x=%C3%BC", name="own")
        raise StopUser()
