"""A test in Python, against the shop of `atm target`: browse products, and look at the server's health."""

import atm

atm.test(base_url="http://127.0.0.1:8765", concurrency=5, duration="10s", thresholds=["error_rate < 1%"])


@atm.scenario(weight=3)
async def browse(user: atm.User) -> None:
    page = await user.get("/shop/products", params={"size": 5}, name="list")
    page.check("has products", page.json()["items"])
    await user.think(0.01, 0.03)
    product = user.random.choice(page.json()["items"])
    await user.get(f"/shop/products/{product['id']}", name="open")


@atm.scenario
async def health(user: atm.User) -> None:
    await user.get("/health")
