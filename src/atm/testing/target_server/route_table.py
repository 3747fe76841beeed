"""All routes in the order of the documentation."""

from atm.testing.target_server import (
    auth_routes,
    body_routes,
    demo_routes,
    hostile_routes,
    measurement_routes,
    plain_routes,
)

ROUTES = (
    *demo_routes.ROUTES,
    *plain_routes.ROUTES,
    *body_routes.ROUTES,
    *auth_routes.ROUTES,
    *hostile_routes.ROUTES,
    *measurement_routes.ROUTES,
)
