"""The shop of the target server: an API with state, for journeys of several requests.

`catalogue.py` has the products, `accounts.py` the accounts and sessions, `orders.py` carts and orders, `shop.py` puts
them together with the books. These are pure: time is an argument. The `*_routes.py` files serve them below `/shop`;
`multipart.py` and `graphql.py` read two formats of bodies. Documentation: `docs/reference/shop.md`.
"""
