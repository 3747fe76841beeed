"""A LoadTestShape of stages; each user sends one request and waits."""

from locust import HttpUser, LoadTestShape, constant, task


class Steps(LoadTestShape):
    stages = [(1, 4, 10), (2, 10, 10), (3, 10, 10)]

    def tick(self):
        run_time = self.get_run_time()
        for until, users, spawn_rate in self.stages:
            if run_time < until:
                return users, spawn_rate
        return None


class Visitor(HttpUser):
    wait_time = constant(3600)

    @task
    def visit(self):
        self.client.get("/fixed", name="arrived")
