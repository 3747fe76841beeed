"""The webhook channel: POST the document as JSON to an address that the target rules allow."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from atm.engine.bounded_body import read_bounded
from atm.engine.resolve import look_up
from atm.notifications import webhook_signature
from atm.notifications.channel import SEND_SECONDS, Message, SendError
from atm.plan.targets import TargetRules
from atm.version import VERSION

if TYPE_CHECKING:
    import httpx

MOST_RESPONSE_BYTES = 500


class WebhookChannel:
    """The `Channel` for `Webhook` targets."""

    def __init__(self, rules: TargetRules, *, timeout_seconds: float = SEND_SECONDS) -> None:
        self._rules = rules
        self._timeout = timeout_seconds
        self._tls: ssl.SSLContext | None = None

    async def send(self, message: Message, at: float) -> None:
        """Make one attempt: a status of 200 to 299 is a success, redirects are not followed. Raises SendError."""
        try:
            async with asyncio.timeout(self._timeout):
                # Imported here, as it takes a third of a second that servers without webhooks save at their start.
                await asyncio.to_thread(import_module, "httpx")
                await self._post(message, int(at))
        except TimeoutError as error:
            raise SendError(f"no response within {self._timeout:g} s") from error

    async def _post(self, message: Message, timestamp: int) -> None:
        import httpx

        body = json.dumps(dict(message.document), separators=(",", ":"), ensure_ascii=False).encode()
        try:
            url = httpx.URL(str(message.target["url"]))
        except httpx.InvalidURL as error:
            raise SendError(f"invalid URL: {error}", final=True) from error
        addresses = await self._addresses(url)
        headers = {
            "Host": url.netloc.decode("ascii"),
            "User-Agent": f"atm/{VERSION}",
            "Content-Type": "application/json",
            **webhook_signature.headers(message.id, timestamp, body, message.target.get("secret")),
        }
        async with httpx.AsyncClient(verify=self._context(), trust_env=False, timeout=None) as client:
            for address in addresses:
                try:
                    await _post_to(client, url, address, body, headers)
                except httpx.ConnectError as error:
                    # The name may have another address with a listener, as localhost has two.
                    if address == addresses[-1]:
                        raise SendError(_reason(error)) from error
                except (httpx.HTTPError, OSError) as error:
                    raise SendError(_reason(error)) from error
                else:
                    return

    async def _addresses(self, url: httpx.URL) -> tuple[str, ...]:
        refusal = self._rules.refusal_of_name(url.host) if url.host else "the URL has no host"
        if refusal:
            raise SendError(refusal, final=True)
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses, reason = await look_up(url.host, port, self._rules)
        if not addresses:
            raise SendError(reason)
        return addresses

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


async def _post_to(
    client: httpx.AsyncClient, url: httpx.URL, address: str, body: bytes, headers: Mapping[str, str]
) -> None:
    """POST to the checked address, as the name could resolve to another one the second time.

    Raises SendError for an unsuccessful status, and the errors of httpx.
    """
    import httpx

    request = client.build_request(
        "POST",
        url.copy_with(host=address, username=None, password=None),
        content=body,
        headers=dict(headers),
        extensions={"sni_hostname": url.host},
    )
    auth = httpx.BasicAuth(url.username, url.password) if url.userinfo else None
    response = await client.send(request, auth=auth, stream=True, follow_redirects=False)
    try:
        if not response.is_success:
            raise SendError(await _refusal(response))
    finally:
        await response.aclose()


async def _refusal(response: httpx.Response) -> str:
    """Return the status and the start of the body on one line."""
    import httpx

    try:
        body = await read_bounded(response, MOST_RESPONSE_BYTES) or b""
    except httpx.HTTPError:
        body = b""  # the status is enough
    text = " ".join(
        "".join(character if character.isprintable() else " " for character in body.decode("utf-8", "replace")).split()
    )
    status = f"answered {response.status_code} {response.reason_phrase}".rstrip()
    return f"{status}: {text[:200]}" if text else status


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return "connection refused" if "all connection attempts failed" in text.lower() else text
