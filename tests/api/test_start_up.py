"""What a server imports and builds before its first request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_START = """
import asyncio, sys
from pathlib import Path
from atm.api.app import create_app
from atm.api.late_route import LateRoute
from atm.config import Settings

async def start():
    app = create_app(Settings(data_dir=Path(sys.argv[1])))
    async with app.router.lifespan_context(app):
        print(*sys.modules)
    routes = [route for route in app.routes if isinstance(route, LateRoute)]
    print(len(routes), *[route.path for route in routes if "dependant" in vars(route)])
    from fastapi.openapi.models import OpenAPI
    print(OpenAPI.__pydantic_complete__)
    assert routes[0].dependant.call is routes[0].endpoint
    assert not hasattr(routes[0], "no_attribute")

asyncio.run(start())
"""


def test_a_server_imports_and_builds_nothing_that_only_some_requests_need(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _START, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules, routes, is_complete = done.stdout.splitlines()
    loaded = set(modules.split())
    assert "atm.storage.sql.storage" in loaded
    assert (
        not {"sqlalchemy.orm", "alembic", "asyncpg", "strawberry", "graphql", "mcp", "fpdf", "apprise", "httpx"}
        & loaded
    )
    count, *analysed = routes.split()
    assert int(count) > 60
    assert analysed == []
    assert is_complete == "False"


def test_a_recorder_imports_no_orm() -> None:
    code = "import sys, atm.runs.recorder, atm.storage.sql.storage; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy.orm", "alembic", "asyncpg", "fastapi", "httpx"} & set(done.stdout.split())
