"""Exceptions that steer: RescheduleTask, RescheduleTaskImmediately, interrupt in a user, schedule_task."""

from locust import HttpUser, TaskSet, constant, task
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser


class Steered(HttpUser):
    wait_time = constant(0.001)
    round = 0

    @task
    def visit(self):
        self.round += 1
        self.client.get("/fixed", name="round")
        if self.round % 3 == 0:
            raise RescheduleTask()
        if self.round % 3 == 1:
            raise RescheduleTaskImmediately()
        if self.round == 8:
            self.client.get("/fixed", name="last")
            raise StopUser()
        self.client.get("/fixed", name="end")


class Queued(HttpUser):
    wait_time = constant(0.001)
    left = 0

    @task
    class Inner(TaskSet):
        def on_start(self):
            self.schedule_task(self.second)
            self.schedule_task(self.first, first=True)
            self.order = []

        def first(self):
            self.order.append("first")
            self.client.get("/fixed", name="first")

        def second(self):
            self.order.append("second")
            self.client.get("/fixed", name="second")

        @task
        def then(self):
            assert self.order == ["first", "second"]
            self.client.get("/fixed", name="then")
            self.user.left += 1
            if self.user.left == 2:
                raise StopUser()
            raise InterruptTaskSet(reschedule=self.user.left == 1)
