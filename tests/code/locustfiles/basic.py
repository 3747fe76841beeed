"""An HttpUser with weighted tasks, on_start and on_stop; each user leaves after twelve tasks."""

from locust import HttpUser, between, task
from locust.exception import StopUser


class Visitor(HttpUser):
    wait_time = between(0.001, 0.01)

    def on_start(self):
        answer = self.client.post("/shop/login", data={"name": "user0001", "password": "password0001"})
        self.token = answer.json()["token"]
        self.left = 12

    def on_stop(self):
        self.client.post("/shop/logout", headers={"Authorization": f"Bearer {self.token}"})

    def count(self):
        self.left -= 1
        if not self.left:
            raise StopUser

    @task(3)
    def products(self):
        self.client.get("/shop/products?size=5")
        self.count()

    @task
    def health(self):
        self.client.get("/shop/health")
        self.count()
