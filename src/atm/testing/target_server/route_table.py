"""All routes in the order of the documentation, and the table generated for it."""

from atm.testing.target_server import (
    auth_routes,
    body_routes,
    demo_routes,
    hostile_routes,
    measurement_routes,
    plain_routes,
)
from atm.testing.target_server.shop import route_table as shop_routes

GROUPS = (
    ("Three routes with latency", demo_routes.ROUTES),
    ("Delays, statuses, echo, redirects", plain_routes.ROUTES),
    ("Bodies and framing", body_routes.ROUTES),
    ("Credentials", auth_routes.ROUTES),
    ("The shop", shop_routes.ROUTES),
    ("Misbehaviour", hostile_routes.ROUTES),
    ("Measurement", measurement_routes.ROUTES),
)

ROUTES = tuple(route for _, routes in GROUPS for route in routes)


def markdown() -> str:
    """Return the tables of `docs/reference/target-server.md`, one per group."""
    parts = []
    for title, routes in GROUPS:
        rows = [f"| `{route.pattern}` | {route.summary} |" for route in routes]
        parts.append("\n".join([f"### {title}", "", "| route | what it does |", "|---|---|", *rows]))
    return "\n\n".join(parts)
