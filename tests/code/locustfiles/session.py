"""What requests takes: params, headers, json, data, auth, cookies and redirects; the session keeps cookies."""

from locust import HttpUser, task
from locust.exception import StopUser


class Client(HttpUser):
    def on_start(self):
        self.client.headers["X-Session"] = "kept"
        self.client.headers.update({"X-Other": "kept too"})

    @task
    def all(self):
        client = self.client
        echo = client.get("/echo", params={"q": "a b", "n": 2}, headers={"X-One": "1"}, name="params").json()
        assert echo["target"] in ("/echo?q=a+b&n=2", "/echo?q=a%20b&n=2")
        sent = {name.lower(): value for name, value in echo["headers"]}
        assert sent["x-one"] == "1" and sent["x-session"] == "kept" and sent["x-other"] == "kept too"

        echo = client.post("/echo", json={"a": [1, None, "ü"]}, name="json").json()
        assert {name.lower(): value for name, value in echo["headers"]}["content-type"] == "application/json"
        echo = client.put("/echo", data={"a": "1", "b": ["2", "3"]}, name="form").json()
        assert echo["body"] == "a=1&b=2&b=3"
        assert client.patch("/echo", data="text", name="text").json()["body"] == "text"
        assert client.delete("/echo", data=b"bytes", name="bytes").json()["method"] == "DELETE"
        assert client.head("/fixed", name="head").text == ""
        assert client.options("/fixed", name="options").status_code == 200
        assert client.request("GET", "/fixed?bytes=7", name="request").content.__len__() == 7

        assert client.get("/auth/basic", auth=("atm-user", "atm-password"), name="auth").ok
        assert not client.get("/auth/basic", name="no auth").ok

        client.post("/shop/login", data={"name": "user0002", "password": "password0002"}, name="login")
        assert client.get("/shop/cart", name="with cookie").status_code == 200
        assert "shop_session" in client.cookies
        client.cookies.clear()
        assert client.get("/shop/cart", name="without cookie").status_code == 401

        followed = client.get("/redirect/2", name="followed")
        assert followed.status_code == 200 and len(followed.history) == 2
        assert client.get("/redirect/1", allow_redirects=False, name="not followed").status_code == 302

        answer = client.get(f"{self.host}/status/418", name="absolute")
        assert answer.status_code == 418 and answer.elapsed.total_seconds() > 0 and answer.url.endswith("/status/418")
        raise StopUser()
