"""Users that work until the run ends: on_stop logs each of them out."""

import sys

from locust import HttpUser, constant, events, task


@events.test_stop.add_listener
def on_test_stop(environment, **kwargs):
    print("the test has stopped, users left:", environment.runner.user_count, file=sys.stderr)


@events.quitting.add_listener
def on_quitting(environment, **kwargs):
    print("quitting", file=sys.stderr)


class Member(HttpUser):
    wait_time = constant(0.05)

    def on_start(self):
        answer = self.client.post("/shop/login", {"name": "user0001", "password": "password0001"}, name="login")
        self.headers = {"Authorization": "Bearer " + answer.json()["token"]}

    def on_stop(self):
        self.client.post("/shop/logout", headers=self.headers, name="logout")

    @task
    def cart(self):
        self.client.get("/shop/cart", headers=self.headers, name="cart")


class Idle(HttpUser):
    wait_time = constant(3600)

    def on_stop(self):
        self.client.get("/fixed", name="left")

    @task
    def once(self):
        self.client.get("/fixed", name="once")
