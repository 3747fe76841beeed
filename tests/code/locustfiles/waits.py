"""Each of the wait times; five tasks of each user."""

import time

from locust import HttpUser, TaskSet, between, constant, constant_pacing, constant_throughput, task
from locust.exception import StopUser


class Waiting(HttpUser):
    abstract = True
    done = 0

    @task
    def visit(self):
        self.client.get("/fixed", name=type(self).__name__)
        self.done += 1
        if self.done == 5:
            raise StopUser()


class Between(Waiting):
    wait_time = between(0.01, 0.03)


class Constant(Waiting):
    wait_time = constant(0.02)


class Pacing(Waiting):
    wait_time = constant_pacing(0.05)


class Throughput(Waiting):
    wait_time = constant_throughput(20)


class Own(Waiting):
    last = 0.0

    def wait_time(self):
        self.last += 0.005
        return self.last


class InTask(Waiting):
    @task
    def visit(self):
        began = time.monotonic()
        time.sleep(0.02)
        assert time.monotonic() - began >= 0.019
        super().visit()


class OfTaskSet(HttpUser):
    wait_time = constant(3600)

    @task
    class Quick(TaskSet):
        wait_time = constant(0)
        done = 0

        @task
        def visit(self):
            self.client.get("/fixed", name="OfTaskSet")
            self.done += 1
            self.wait()
            if self.done == 5:
                raise StopUser()
