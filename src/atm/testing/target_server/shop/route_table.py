"""All routes of the shop."""

from __future__ import annotations

from atm.testing.target_server.shop import access_routes, catalogue_routes, order_routes, service_routes

ROUTES = access_routes.ROUTES + catalogue_routes.ROUTES + order_routes.ROUTES + service_routes.ROUTES
