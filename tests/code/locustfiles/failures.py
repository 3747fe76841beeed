"""Statuses, lost connections and exceptions: the user continues after each."""

from locust import HttpUser, events, task
from locust.exception import StopUser

errors = []


@events.user_error.add_listener
def on_user_error(user_instance, exception, tb, **kwargs):
    errors.append(type(exception).__name__)
    getattr(user_instance, "user", user_instance).errors += 1


class Unlucky(HttpUser):
    round = 0
    errors = 0

    @task
    def visit(self):
        self.round += 1
        if self.round == 1:
            self.client.get("/status/404", name="not found")
            self.client.get("/fixed", name="after not found")
        elif self.round == 2:
            answer = self.client.get("/close", name="closed")
            assert answer.status_code == 0 and answer.error is not None
            self.client.get("/fixed", name="before exception")
            raise ValueError("a bug in the task")
        elif self.round == 3:
            self.client.get("/status/500", name="raised").raise_for_status()
            self.client.get("/fixed", name="not reached")
        elif self.round == 4:
            with self.client.get("/fixed", name="lost in block", catch_response=True):
                raise KeyError("in a block")
        elif self.round == 5:
            with self.client.get("/fixed", name="failed in block", catch_response=True) as answer:
                answer.failure("said so")
                answer.success()
                answer.failure("said so again")
        else:
            self.client.get("/fixed", name=f"{self.errors} errors")
            raise StopUser()
