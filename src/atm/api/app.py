"""The application: `create_app(settings)`, or `uvicorn atm.api.app:app` with settings from the environment."""

from __future__ import annotations

import logging
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic.warnings import UnsupportedFieldAttributeWarning

from atm.api import dashboard, errors
from atm.api.audit import Audit
from atm.api.auth import Keys
from atm.api.deps import require_principal
from atm.api.graphql import endpoint
from atm.api.guard import Guard
from atm.api.json_body import JsonBody
from atm.api.local_access import LocalAccess, LocalMode
from atm.api.openapi import describe
from atm.api.routes import (
    audit,
    batches,
    bundles,
    compare,
    demo,
    distribution,
    health,
    history,
    iterations,
    keys,
    live,
    metrics,
    reports,
    runs,
    schedules,
    series,
    server,
    session,
    specs,
    storage,
    test_files,
    tests,
    tests_report,
)
from atm.api.scope import in_scope
from atm.api.shutdown import on_shutdown_signal
from atm.api.strict import refuse_unknown
from atm.bootstrap import control_plane
from atm.config import Settings, load_settings
from atm.version import VERSION

log = logging.getLogger("atm.api")

PREFIX = "/api/v1"
END_STREAMS = "end_streams"
"""Key in the lifespan state: a function that ends all open streams."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the app. Storage is opened at startup, which fails with SettingsError or StorageError."""
    given = settings or load_settings()
    # FastAPI ignores this warning while it builds its fields; those of our models are built when they are first used.
    warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with control_plane(given) as plane:
            app.state.plane = plane
            app.state.keys = Keys(plane.storage, given, LocalAccess(given))
            await _log_access(app.state.keys)
            app.state.demo = demo.DemoTarget()
            try:
                with on_shutdown_signal(plane.watcher.end):
                    # For a shutdown without a signal.
                    yield {END_STREAMS: plane.watcher.end}
            finally:
                await app.state.demo.close()

    app = FastAPI(
        title="API Test Machine",
        version=VERSION,
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = given
    errors.install(app)
    strict = [Depends(refuse_unknown)]
    health.bare.add_to(app, dependencies=strict)
    health.router.add_to(app, prefix=PREFIX, dependencies=strict)
    session.router.add_to(app, prefix=PREFIX, dependencies=strict)
    needs_principal = [Depends(require_principal), *strict]
    metrics.router.add_to(app, dependencies=needs_principal)
    live.router.add_to(app, prefix=PREFIX, dependencies=needs_principal)
    for part in (
        demo,
        runs,
        reports,
        history,
        series,
        iterations,
        distribution,
        specs,
        # Before the path of one test.
        tests_report,
        tests,
        batches,
        test_files,
        compare,
        bundles,
        schedules,
        storage,
        server,
        keys,
        audit,
    ):
        part.router.add_to(app, prefix=PREFIX, dependencies=[*needs_principal, Depends(in_scope)])
    endpoint.install(app)
    dashboard.install(app, given.root_path, sign_in=session.sign_in_by_address)
    app.add_middleware(JsonBody)
    app.add_middleware(Guard, settings=given)
    app.add_middleware(Audit)
    if given.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(given.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["X-API-Key", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["X-Request-ID", "Location"],
        )
    describe(app)
    return app


async def _log_access(keys: Keys) -> None:
    has_key = await keys.exist()
    if keys.local.mode is LocalMode.OFF:
        when = "while no key exists" if has_key else "because no key exists"
        log.warning("ATM_AUTH=off: every process and every user of this machine has admin access, %s", when)
    elif not has_key:
        log.info("no key yet: admin access only for %s", keys.local.who)


def __getattr__(name: str) -> Any:
    # Lazy, for `uvicorn atm.api.app:app`: importing this module must not read the environment.
    if name == "app":
        return create_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
