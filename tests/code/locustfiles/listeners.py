"""Listeners of events; one of them ends the test after 20 requests of a single user."""

import logging

from locust import HttpUser, events, task

seen = {"requests": 0, "start": 0}


@events.init.add_listener
def on_init(environment, **kwargs):
    environment.from_init = "set"


@events.test_start.add_listener
def on_test_start(environment, **kwargs):
    seen["start"] += 1
    assert environment.from_init == "set"


@events.request.add_listener
def on_request(request_type, name, response_time, response_length, response, context, exception, url, **kwargs):
    assert request_type == "GET" and response_time > 0 and context == {"who": "me", "which": 1}
    assert exception is None and response_length == 20 and url.endswith("/fixed")
    seen["requests"] += 1


@events.test_stop.add_listener
def on_test_stop(environment, **kwargs):
    logging.warning("stopped after %s requests, %s starts", seen["requests"], seen["start"])


@events.quitting.add_listener
def on_quitting(environment, **kwargs):
    logging.warning("quitting %s", environment.from_init)


class Visitor(HttpUser):
    def context(self):
        return {"who": "me"}

    @task
    def visit(self):
        assert seen["start"] == 1
        self.client.get("/fixed", context={"which": 1})
        if seen["requests"] == 20:
            self.environment.runner.quit()
