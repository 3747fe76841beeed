"""Several User classes with weights and a fixed count; each user sends one request and leaves."""

from locust import FastHttpUser, HttpUser, task
from locust.exception import StopUser


class Once:
    def once(self):
        self.client.get("/fixed", name=type(self).__name__)
        raise StopUser()


class Often(Once, HttpUser):
    weight = 3

    @task
    def visit(self):
        self.once()


class Seldom(Once, FastHttpUser):
    @task
    def visit(self):
        self.once()


class Admin(Once, HttpUser):
    fixed_count = 2

    @task
    def visit(self):
        self.once()


class Base(Once, HttpUser):
    abstract = True

    @task
    def visit(self):
        self.client.get("/status/500", name="abstract")
