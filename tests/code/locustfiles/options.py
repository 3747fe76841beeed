"""Options of one's own on the command line, the environment and the host; a helper beside the file."""

import os

from helpers import account
from locust import HttpUser, events, task
from locust.exception import StopUser


@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--pages", type=int, default=3, help="pages to open")
    parser.add_argument("--who", env_var="SHOP_WHO", default="user0003")


@events.test_start.add_listener
def start(environment, **kwargs):
    print("pages:", environment.parsed_options.pages)


class Visitor(HttpUser):
    host = os.environ.get("SHOP_HOST", "http://127.0.0.1:1")

    @task
    def visit(self):
        options = self.environment.parsed_options
        assert self.client.base_url == self.host == self.environment.host
        self.client.post("/shop/login", account(options.who), name="login")
        for page in range(options.pages):
            self.client.get("/shop/products", params={"page": page + 1}, name=f"page {page}")
        raise StopUser()
