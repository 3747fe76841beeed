"""A locustfile as it is for Locust: `atm run examples/locustfile.py --users 5 --duration 10s` runs it unchanged.

By hand: `atm target --port 8765` in one terminal, the command above in another.
"""

from locust import HttpUser, SequentialTaskSet, between, tag, task


class Order(SequentialTaskSet):
    """Log in, choose a product, order it."""

    def on_start(self):
        account = {"name": "user0001", "password": "password0001"}
        token = self.client.post("/shop/login", json=account, name="login").json()["token"]
        self.client.headers["Authorization"] = f"Bearer {token}"

    @task
    def choose(self):
        items = self.client.get("/shop/products", params={"size": 5}, name="list").json()["items"]
        self.product = items[0]["id"]

    @task
    def put_into_cart(self):
        with self.client.post("/shop/cart", json={"product": self.product}, name="cart", catch_response=True) as answer:
            if answer.status_code == 201 and not answer.json()["items"]:
                answer.failure("the cart is empty")

    @task
    def order(self):
        self.client.post("/shop/orders", name="order")
        self.interrupt()


class Customer(HttpUser):
    """Mostly looks around, sometimes orders."""

    host = "http://127.0.0.1:8765"
    wait_time = between(0.1, 0.5)
    tasks = {Order: 1}

    @tag("read")
    @task(3)
    def browse(self):
        self.client.get("/shop/products", name="list")
