"""Tasks with tags, for --tags and --exclude-tags; a user leaves after ten tasks."""

from locust import HttpUser, TaskSet, tag, task
from locust.exception import StopUser


class Visitor(HttpUser):
    done = 0

    def leave(self):
        self.done += 1
        if self.done == 10:
            raise StopUser()

    @tag("read", "fast")
    @task
    def one(self):
        self.client.get("/fixed", name="one")
        self.leave()

    @tag("read")
    @task
    def two(self):
        self.client.get("/fixed", name="two")
        self.leave()

    @tag("write")
    @task
    def three(self):
        self.client.post("/fixed", name="three")
        self.leave()

    @tag("deep")
    @task
    class Deep(TaskSet):
        @task
        def four(self):
            self.client.get("/fixed", name="four")
            self.user.leave()

        @tag("write")
        @task
        def five(self):
            self.client.get("/fixed", name="five")
            self.user.leave()
