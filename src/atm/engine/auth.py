"""Credentials that must be fetched or signed: OAuth2 tokens through httpx, JWTs through PyJWT.

A `CredentialKeeper` fetches each distinct credential once before the start, fills the plan's slots with the values, and
renews them before they expire during the run. httpx and PyJWT are imported on first use: a run without such credentials
imports neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from atm.clock import Clock, SystemClock
from atm.dataclass import dataclass
from atm.engine.bounded_body import read_bounded
from atm.engine.resolve import look_up
from atm.errors import CredentialError, Problem
from atm.models.auth import FetchedCredential, Jwt, OAuth2ClientCredentials, OAuth2PasswordGrant
from atm.plan.connections import Connections
from atm.plan.spec_mask import MASK

if TYPE_CHECKING:
    import ssl

    import httpx

TOKEN_TIMEOUT_SECONDS = 15.0
RENEW_AHEAD_SECONDS = 30.0
"""Renew this long before expiry, or at four fifths of a lifetime too short for that."""
OAuth2Grant = OAuth2ClientCredentials | OAuth2PasswordGrant
RETRY_SECONDS = 1.0
LEAST_RENEWAL_SECONDS = 0.1
"""Shortest time between two requests to a token server, however short-lived its tokens."""
MAX_TOKEN_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Credential:
    """A value for a slot, and how long it is valid."""

    value: str
    lifetime_seconds: float | None
    """Counted from the moment of the request; None = unknown, so it is not renewed."""


@dataclass(slots=True)
class _ManagedCredential:
    """One distinct credential, the slots that it fills, and its dates (monotonic ns)."""

    auth: FetchedCredential
    slots: list[str]
    renew_ns: int | None = None
    expires_ns: int = 0


class CredentialKeeper:
    """Fetch the credentials of one run and renew them. Secrets never appear in error messages."""

    def __init__(
        self,
        credentials: Mapping[str, FetchedCredential],
        connections: Connections,
        secrets: Mapping[str, str],
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._connections = connections
        self._secrets = secrets
        self._credentials: list[_ManagedCredential] = []
        for slot, auth in credentials.items():
            same = next((credential for credential in self._credentials if credential.auth == auth), None)
            if same:
                same.slots.append(slot)
            else:
                self._credentials.append(_ManagedCredential(auth, [slot]))

    async def fetch(self) -> dict[str, str]:
        """Return the value of every slot. Raises CredentialError naming each token server that returned no token."""
        obtained = (self._obtain(credential) for credential in self._credentials)
        results = await asyncio.gather(*obtained, return_exceptions=True)
        problems: list[Problem] = []
        values: dict[str, str] = {}
        for credential, result in zip(self._credentials, results, strict=True):
            if isinstance(result, CredentialError):
                problems.extend(_placed(problem, credential.slots[0]) for problem in result.problems)
            elif isinstance(result, BaseException):
                raise result
            else:
                values.update(dict.fromkeys(credential.slots, result))
        if problems:
            raise CredentialError(problems)
        return values

    async def keep(self, set_secret: Callable[[str, str], None]) -> None:
        """Renew each credential before it expires, until cancelled.

        A failed renewal is retried each second; once the old value has expired, CredentialError is raised.
        Returns when nothing needs renewal.
        """
        while due := [(it.renew_ns, index) for index, it in enumerate(self._credentials) if it.renew_ns is not None]:
            renew_ns, index = min(due)
            credential = self._credentials[index]
            await asyncio.sleep(max(0.0, (renew_ns - self._clock.monotonic_ns()) / 1e9))
            try:
                value = await self._obtain(credential)
            except CredentialError:
                now_ns = self._clock.monotonic_ns()
                if now_ns >= credential.expires_ns:
                    raise
                credential.renew_ns = min(now_ns + int(RETRY_SECONDS * 1e9), credential.expires_ns)
                continue
            for slot in credential.slots:
                set_secret(slot, value)

    async def _obtain(self, credential: _ManagedCredential) -> str:
        requested_ns = self._clock.monotonic_ns()
        if isinstance(credential.auth, Jwt):
            fetched = sign(credential.auth, int(self._clock.now().timestamp()))
        else:
            fetched = await self._token(credential.auth)
        credential.renew_ns = None
        if (lifetime := fetched.lifetime_seconds) is not None:
            ahead = min(RENEW_AHEAD_SECONDS, lifetime / 5)
            credential.renew_ns = requested_ns + int(max(lifetime - ahead, LEAST_RENEWAL_SECONDS) * 1e9)
            credential.expires_ns = requested_ns + int(lifetime * 1e9)
        return fetched.value

    async def _token(self, auth: OAuth2Grant) -> Credential:
        import httpx

        async with httpx.AsyncClient(
            verify=_ssl_context(self._connections, self._secrets),
            proxy=_proxy(self._connections, self._secrets),
            trust_env=False,
            timeout=TOKEN_TIMEOUT_SECONDS,
            follow_redirects=False,
        ) as client:
            try:
                form, basic = _form(auth)
                address = await _checked_address(auth.token_url, self._connections)
                response = await _post(client, auth.token_url, address, form)
                if response.status_code == 401 and basic is not None:
                    # RFC 6749, 2.3.1: every server must support Basic; most are configured for the body.
                    without = {name: value for name, value in form.items() if not name.startswith("client_")}
                    response = await _post(client, auth.token_url, address, without, basic)
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                reason = str(error) or type(error).__name__
                raise CredentialError(
                    Problem(
                        what=f"the token server {_shown(auth.token_url)} could not be reached: {reason}",
                        code="token_unreachable",
                        path="auth.token_url",
                        hint=f"Try `curl -i {_shown(auth.token_url)}`",
                    )
                ) from error
        return _read_token(auth, response)


def _placed(problem: Problem, slot: str) -> Problem:
    """Point the problem at the credential's place in the spec: slots are named after it, `endpoints[1].auth`."""
    return replace(problem, path=f"{slot}{problem.path.removeprefix('auth')}")


def sign(auth: Jwt, now: int) -> Credential:
    """Sign a JWT (`now` in Unix seconds). Raises CredentialError when the key does not fit the algorithm."""
    import jwt

    claims: dict[str, Any] = {**auth.claims, "iat": now, "exp": now + int(auth.expires_in)}
    for name, value in (("iss", auth.issuer), ("sub", auth.subject), ("aud", auth.audience)):
        if value is not None:
            claims[name] = value
    try:
        token = jwt.encode(claims, auth.secret, algorithm=auth.algorithm)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise CredentialError(
            Problem(
                what=f"the JWT could not be signed with {auth.algorithm}: {type(error).__name__}",
                code="jwt_not_signed",
                path="auth.secret",
                hint="HS256 takes a text secret, RS256 the PEM text of a private RSA key",
            )
        ) from error
    return Credential(token, float(auth.expires_in))


def _form(auth: OAuth2Grant) -> tuple[dict[str, str], tuple[str, str] | None]:
    if isinstance(auth, OAuth2PasswordGrant):
        form = {"grant_type": "password", "username": auth.username, "password": auth.password}
    else:
        form = {"grant_type": "client_credentials"}
    form["client_id"] = auth.client_id
    if auth.client_secret:
        form["client_secret"] = auth.client_secret
    if auth.scope:
        form["scope"] = auth.scope
    return form, (auth.client_id, auth.client_secret) if auth.client_secret else None


def _read_token(auth: OAuth2Grant, response: httpx.Response) -> Credential:
    document: object = None
    if len(response.content) <= MAX_TOKEN_BYTES:
        try:
            document = response.json()
        except ValueError:
            document = None
    fields = document if isinstance(document, dict) else {}
    token = fields.get("access_token")
    if response.is_success and isinstance(token, str) and token and token.isascii() and token.isprintable():
        return Credential(token, _lifetime(fields.get("expires_in")))
    reason = f"{response.status_code} {response.reason_phrase}".strip()
    if isinstance(error := fields.get("error"), str):
        description = fields.get("error_description")
        # Mask before truncating, so that no partial secret remains at the end.
        error = _without_secrets(error, auth)[:80]
        reason += f", {error}"
        if isinstance(description, str):
            reason += f" ({_without_secrets(description, auth)[:120]})"
    elif response.is_success:
        reason += ", but no access_token in a JSON object"
    raise CredentialError(
        Problem(
            what=f"the token server {_shown(auth.token_url)} gave no token: {reason}",
            code="token_refused",
            path="auth",
            hint=_hint(auth, response.status_code),
        )
    )


def _without_secrets(text: str, auth: OAuth2Grant) -> str:
    """Mask the credentials in a token server's error text, which may repeat what it refused."""
    for secret in (auth.client_secret, getattr(auth, "password", None)):
        if secret:
            text = text.replace(secret, MASK)
    return text


def _hint(auth: OAuth2Grant, status: int) -> str:
    if status in {400, 401, 403}:
        names = "username, password, client_id" if isinstance(auth, OAuth2PasswordGrant) else "client_id, client_secret"
        return f"Check {names} and scope"
    if status in {301, 302, 307, 308, 404, 405}:
        return "Check token_url: a POST to it must return a token"
    return "Check the token server's log; the run was not started without a token"


def _lifetime(expires_in: object) -> float | None:
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]  # whatever the server sent
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds < 1e9 else None


async def _checked_address(url: str, connections: Connections) -> str:
    """Return the address to dial for a token where the plan has target rules, else an empty string.

    Raises CredentialError where the rules refuse it. Through a proxy only the name can be checked here.
    """
    rules = connections.targets
    if rules is None:
        return ""
    import httpx

    parsed = httpx.URL(url)
    refusal = rules.refusal_of_name(parsed.host)
    addresses: tuple[str, ...] = ("",)
    if not refusal and connections.proxy is None:
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        addresses, refusal = await look_up(parsed.host, port, rules)
    if refusal:
        what = f"the token server {_shown(url)} is not an allowed target: {refusal}"
        raise CredentialError(Problem(what, "target_not_allowed", path="auth.token_url"))
    return addresses[0]


async def _post(
    client: httpx.AsyncClient, url: str, address: str, form: Mapping[str, str], basic: tuple[str, str] | None = None
) -> httpx.Response:
    """POST a form, dialling `address` if given: a second name lookup may return something else."""
    import httpx

    parsed = httpx.URL(url)
    auth = basic or httpx.USE_CLIENT_DEFAULT
    if not address:
        request = client.build_request("POST", parsed, data=form)
    else:
        request = client.build_request(
            "POST",
            parsed.copy_with(host=address),
            data=form,
            headers={"Host": parsed.netloc.decode("ascii")},
            extensions={"sni_hostname": parsed.host},
        )
    response = await client.send(request, auth=auth, stream=True)
    try:
        content = await read_bounded(response, MAX_TOKEN_BYTES)
    finally:
        await response.aclose()
    # Raw bytes, read within the limit: a small body may decompress to a huge one.
    return httpx.Response(response.status_code, content=content or b"", request=request)


def _shown(url: str) -> str:
    """Return the URL without its query, which often holds keys."""
    return url.partition("?")[0]


def _ssl_context(connections: Connections, secrets: Mapping[str, str]) -> ssl.SSLContext:
    from atm.engine.tls import client_context

    return client_context(connections.tls, secrets)


def _proxy(connections: Connections, secrets: Mapping[str, str]) -> httpx.Proxy | None:
    if connections.proxy is None:
        return None
    import httpx

    origin = connections.proxy.origin
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    slot = connections.proxy.authorization_slot
    headers = {"Proxy-Authorization": secrets[slot]} if slot else None
    return httpx.Proxy(f"{origin.scheme}://{host}:{origin.port}", headers=headers)
