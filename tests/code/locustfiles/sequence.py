"""A SequentialTaskSet: its tasks in the order of their declaration, with values handed on."""

from locust import HttpUser, SequentialTaskSet, task
from locust.exception import StopUser


def list_products(tasks):
    tasks.product = tasks.client.get("/shop/products", name="list").json()["items"][0]["id"]


class Order(SequentialTaskSet):
    tasks = [list_products]

    @task
    def login(self):
        name = {"name": "user0007", "password": "password0007"}
        self.token = self.client.post("/shop/login", json=name, name="login").json()["token"]

    @task(2)
    def put(self):
        self.client.post("/shop/cart", json={"product": self.product}, headers=self.headers(), name="put")

    @task
    class Check(SequentialTaskSet):
        @task
        def cart(self):
            cart = self.client.get("/shop/cart", headers=self.parent.headers(), name="cart").json()
            assert len(cart["items"]) == 1
            assert cart["items"][0]["quantity"] == 2

        @task
        def back(self):
            self.interrupt()

    @task
    def order(self):
        answer = self.client.post("/shop/orders", headers=self.headers(), name="order")
        assert answer.status_code == 202
        assert answer.headers["location"].startswith("/shop/orders/")

    @task
    def done(self):
        self.user.rounds += 1
        if self.user.rounds == 3:
            raise StopUser()

    def headers(self):
        return {"Authorization": "Bearer " + self.token}


class Buyer(HttpUser):
    tasks = [Order]
    rounds = 0
