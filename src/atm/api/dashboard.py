"""Serves the built dashboard: its files, immutable if their name has a digest, and its page for every other path.

The Content-Security-Policy allows only files of this server and, by digest, the inline scripts of the built page.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import mimetypes
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from atm.api.paths import route_path
from atm.api.request_head import GRAPHQL, is_graphql_page
from atm.dataclass import dataclass

STATIC = Path(__file__).parent / "static"
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>API Test Machine</title>
<h1>The dashboard is not built</h1>
<p>The API answers at <a href="/api/v1/runs">/api/v1</a>.
<code>make build</code> builds the dashboard; it needs Node.js.
</html>
"""
_IMMUTABLE = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"
_ADDRESS = re.compile(rb'(?<=")/(?=_app/|favicon\.svg|api/)')
"""References of the page to paths of this server."""
_BASE = b'base: ""'
"""The base path in the built page's inline script."""
_INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_API_PREFIXES = ("/api", "/health", "/metrics", GRAPHQL)
_ENCODINGS = ((".br", "br"), (".gz", "gzip"))


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    cache: str
    etag: str
    encoded: tuple[tuple[str, bytes], ...]
    """Encodings made at build time, the best first."""


def is_dashboard(path: str) -> bool:
    """Whether a path belongs to the dashboard, not to the API."""
    return not any(path == prefix or path.startswith(prefix + "/") for prefix in _API_PREFIXES)


def _digest(text: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"


def policy(page: bytes) -> str:
    """Return the Content-Security-Policy of a page with its inline scripts."""
    scripts = " ".join(["'self'", *(_digest(script) for script in _INLINE.findall(page))])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


class Dashboard:
    """The files of a build, read once at startup, so that no other file can be requested."""

    def __init__(self, directory: Path = STATIC, root_path: str = "") -> None:
        """`root_path` is the path prefix of a proxy, such as `/atm`; the page is adapted to it."""
        self._files = dict(_read(directory)) if directory.is_dir() else {}
        page = self._files.get("index.html") or _file("index.html", NOT_BUILT.encode(), ())
        self._page = _below(page, root_path) if root_path else page
        if "index.html" in self._files:
            self._files["index.html"] = self._page
        self._policy = policy(self._page.content)

    async def __call__(self, request: Request) -> Response:
        """Return a file, or the page, which routes by path on the client."""
        path = route_path(request.scope).lstrip("/")
        file = self._files.get(path)
        if file is None and "." in path.rpartition("/")[2]:
            raise HTTPException(404)
        return self._response(file or self._page, request)

    def _response(self, file: _File, request: Request) -> Response:
        headers = {"Cache-Control": file.cache, "ETag": file.etag, "Vary": "Accept-Encoding"}
        if file is self._page:
            headers["Content-Security-Policy"] = self._policy
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        accepted = {part.partition(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")}
        for encoding, content in file.encoded:
            if encoding in accepted:
                headers["Content-Encoding"] = encoding
                return Response(content, headers=headers, media_type=file.media_type)
        return Response(file.content, headers=headers, media_type=file.media_type)


class _PageRoute(Route):
    """Matches every path outside the API, where a wrong method stays a 405 and an unknown route a JSON 404."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and not (is_dashboard(route_path(scope)) or is_graphql_page(scope)):
            return Match.NONE, {}
        return super().matches(scope)


SignIn = Callable[[Request], Awaitable[Response | None]]
"""Hook of page requests: a response that replaces the page, or None."""


def install(app: FastAPI, root_path: str = "", directory: Path = STATIC, sign_in: SignIn | None = None) -> None:
    """Add the dashboard of the build in `directory` to the app, after all other routes."""
    dashboard = Dashboard(directory, root_path)

    async def page(request: Request) -> Response:
        return (await sign_in(request) if sign_in else None) or await dashboard(request)

    app.router.routes.append(_PageRoute("/{path:path}", page, methods=["GET"], include_in_schema=False))


def _below(page: _File, root_path: str) -> _File:
    """Adapt the page to a path prefix: its references and its base path get the prefix."""
    content = _ADDRESS.sub(root_path.encode() + b"/", page.content)
    content = content.replace(_BASE, b"base: " + json.dumps(root_path).encode())
    return _file("index.html", content, (("gzip", gzip.compress(content)),))


def _read(directory: Path) -> list[tuple[str, _File]]:
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    encodings = {name + suffix for name in files for suffix, _ in _ENCODINGS}
    originals = []
    for name, path in files.items():
        if name in encodings:
            continue
        encoded = [
            (encoding, files[name + suffix].read_bytes()) for suffix, encoding in _ENCODINGS if name + suffix in files
        ]
        originals.append((name, _file(name, path.read_bytes(), tuple(encoded))))
    return originals


def _file(name: str, content: bytes, encoded: tuple[tuple[str, bytes], ...]) -> _File:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _File(
        content=content,
        media_type=f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type,
        cache=_IMMUTABLE if "/immutable/" in name else _REVALIDATE,
        etag=f'"{hashlib.sha256(content).hexdigest()[:20]}"',
        encoded=encoded,
    )
