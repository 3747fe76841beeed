"""A FastHttpUser that requests ATM_PATH repeatedly, at ATM_RATE_PER_USER per second if that is set."""

from __future__ import annotations

import os

from locust import FastHttpUser, constant_throughput, task

PATH = os.environ["ATM_PATH"]
RATE_PER_USER = float(os.environ.get("ATM_RATE_PER_USER", "0"))


class Visitor(FastHttpUser):
    """Locust's cheaper user, on geventhttpclient."""

    insecure = True
    if RATE_PER_USER > 0:
        wait_time = constant_throughput(RATE_PER_USER)

    @task
    def visit(self) -> None:
        self.client.get(PATH, name="target")
