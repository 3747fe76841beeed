"""GraphQL at `/graphql`, over the functions of the routes. `endpoint.py` serves it; start reading in `schema.py`.

Types, arguments and inputs are derived from the models and routes of the REST API, so that both stay the same. The
library is imported with the first GraphQL request: no other module imports this package when the server starts, but
`endpoint.py`.
"""
