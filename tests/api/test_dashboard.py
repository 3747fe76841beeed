"""The pages as the server hands them out: cached by their names, held by a policy, and at home below any path."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from atm.api import dashboard
from tests.api.server import ApiServer

PAGE = b"""<!doctype html><html><head><link rel="icon" href="/favicon.svg">
<link href="/_app/immutable/entry/start.AAAA.js" rel="modulepreload"></head><body>
<script>{ __sveltekit_1 = { base: "" }; import("/_app/immutable/entry/start.AAAA.js") }</script></body></html>"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A build as the dashboard's is, in small."""
    entry = tmp_path / "_app" / "immutable" / "entry"
    entry.mkdir(parents=True)
    (entry / "start.AAAA.js").write_bytes(b"export {}")
    (entry / "start.AAAA.js.br").write_bytes(b"as brotli")
    (tmp_path / "favicon.svg").write_bytes(b"<svg/>")
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "index.html.br").write_bytes(b"the page as brotli")
    return tmp_path


def served(directory: Path, root_path: str = "") -> httpx.AsyncClient:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    dashboard.install(app, root_path, directory)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path=root_path), base_url="http://127.0.0.1")


def allowed(answer: httpx.Response) -> list[str]:
    return re.findall(r"'sha256-([^']+)'", answer.headers["content-security-policy"])


def digests(page: bytes) -> list[str]:
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    return [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts]


@pytest.mark.anyio
async def test_files_are_kept_for_ever_and_the_page_is_asked_for_again(built: Path) -> None:
    async with served(built) as client:
        file = await client.get("/_app/immutable/entry/start.AAAA.js", headers={"Accept-Encoding": "identity"})
        assert (file.content, file.headers["cache-control"]) == (b"export {}", "public, max-age=31536000, immutable")
        page = await client.get("/runs/anything", headers={"Accept-Encoding": "gzip"})
        assert (page.content, page.headers["cache-control"]) == (PAGE, "no-cache")
        assert allowed(page) == digests(PAGE)
        again = await client.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert again.status_code == 304
        assert (await client.get("/_app/immutable/entry/other.js")).status_code == 404


@pytest.mark.anyio
@pytest.mark.parametrize("asked", ["/atm/runs/anything", "/runs/anything", "/atm/index.html", "/index.html"])
async def test_below_a_path_the_page_names_its_files_there_and_tells_its_scripts(built: Path, asked: str) -> None:
    async with served(built, "/atm") as client:
        page = await client.get(asked, headers={"Accept-Encoding": "br, gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assert b'href="/atm/favicon.svg"' in page.content
    assert page.content.count(b'"/atm/_app/immutable/entry/start.AAAA.js"') == 2
    assert b'base: "/atm"' in page.content
    assert b'"/_app' not in page.content
    assert allowed(page) == digests(page.content)


@pytest.mark.anyio
async def test_the_same_files_are_there_with_the_path_and_without(built: Path) -> None:
    async with served(built, "/atm") as client:
        for path in ("/atm/_app/immutable/entry/start.AAAA.js", "/_app/immutable/entry/start.AAAA.js"):
            file = await client.get(path, headers={"Accept-Encoding": "identity"})
            assert file.content == b"export {}", path


@pytest.mark.anyio
@pytest.mark.parametrize("root_path", ["", "/atm"])
async def test_where_nothing_is_built_the_page_says_how(tmp_path: Path, root_path: str) -> None:
    async with served(tmp_path / "nowhere", root_path) as client:
        page = await client.get("/")
    assert "make build" in page.text
    assert f'href="{root_path}/api/v1/runs"' in page.text


def test_the_built_page_has_what_the_server_writes_its_path_into(server: ApiServer) -> None:
    page = dashboard.STATIC / "index.html"
    if not page.exists():
        pytest.skip("the dashboard is not built here: `make build` builds it, and needs Node.js")
    content = page.read_bytes()
    assert content.count(b'base: ""') == 1
    found = set(re.findall(rb'"(/[^"]*)"', content))
    assert {address for address in found if not re.match(rb"/(_app/|favicon\.svg)", address)} == set()
    assert gzip.decompress(page.with_name("index.html.gz").read_bytes()) == content
    assert httpx.get(f"{server.url}/tests", trust_env=False, verify=False).content == content
