"""TaskSets in TaskSets, which hand over with interrupt; their on_start and on_stop."""

from locust import HttpUser, TaskSet, constant, task
from locust.exception import StopUser


class Forum(TaskSet):
    wait_time = constant(0.002)

    def on_start(self):
        if self.user.visits == 3:
            self.interrupt()
        self.client.get("/fixed", name="enter forum")
        self.read = 0

    def on_stop(self):
        self.client.get("/fixed", name="leave forum")
        self.user.visits += 1

    @task
    class Thread(TaskSet):
        def on_start(self):
            if self.parent.read == 2:
                self.interrupt(reschedule=False)
            self.pages = 0

        @task
        def page(self):
            assert self.parent.user is self.user
            self.client.get(f"/fixed?bytes={self.pages}", name="page")
            self.pages += 1
            if self.pages == 4:
                self.parent.read += 1
                self.interrupt(reschedule=False)

    @task
    def look(self):
        if self.read == 2:
            self.client.get("/fixed", name="last look")
            self.interrupt()


class Reader(HttpUser):
    wait_time = constant(0)
    visits = 0

    @task
    class Visit(Forum):
        pass

    @task
    def home(self):
        if self.visits == 3:
            self.client.get("/", name="home")
            raise StopUser
