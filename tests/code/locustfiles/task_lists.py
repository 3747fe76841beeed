"""Tasks as a list, and as a dict with weights, from functions and TaskSets outside of the class."""

from locust import HttpUser, TaskSet, constant, task
from locust.exception import StopUser


def health(user):
    user.client.get("/health", name="health")
    leave(user)


def fixed(user):
    user.client.get("/fixed?bytes=10", name="fixed")
    leave(user)


def leave(user):
    user.done = getattr(user, "done", 0) + 1
    if user.done == 10:
        raise StopUser()


class Browsing(TaskSet):
    tasks = [health, fixed, health]


class Listed(HttpUser):
    wait_time = constant(0)
    tasks = [health, fixed]


class Weighted(HttpUser):
    tasks = {health: 3, fixed: 1}


class Inside(HttpUser):
    tasks = [Browsing]

    @task(0)
    def never(self):
        self.client.get("/status/500", name="never")
