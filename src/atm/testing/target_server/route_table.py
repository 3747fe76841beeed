"""All routes in the order of the documentation."""

from atm.testing.target_server import measurement_routes, plain_routes

ROUTES = (*plain_routes.ROUTES, *measurement_routes.ROUTES)
