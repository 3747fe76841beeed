"""Credentials of requests: the `auth` of a spec or an endpoint."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from atm.errors import SpecError
from atm.models.field_types import Choice, Duration, Json, Tagged, Text
from atm.models.fields import Findings, SpecModel, declared

SPELLINGS = {"bearer": "bearer_token"}
JWT_ALGORITHMS = ("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "PS384", "PS512")


class AuthType(StrEnum):
    """The types of credentials; `bearer` is accepted for `bearer_token`."""

    NONE = "none"
    BEARER = "bearer_token"
    API_KEY = "api_key"
    BASIC = "basic"
    OAUTH2_CLIENT_CREDENTIALS = "oauth2_client_credentials"
    OAUTH2_PASSWORD_GRANT = "oauth2_password_grant"
    JWT = "jwt"


class AuthConfig(SpecModel):
    """Credentials of any type: `AuthConfig(type=AuthType.BEARER, token="{{env:TOKEN}}")` creates a `BearerToken`."""

    if TYPE_CHECKING:

        def __init__(self, *, type: str, **values: Any) -> None: ...

    def __new__(cls, **values: Any) -> AuthConfig:
        """Raises SpecError for an unknown type."""
        if cls is not AuthConfig:
            return object.__new__(cls)
        findings = Findings()
        kind = AUTH.kind_of(values, ("auth",), findings)
        if kind is None:
            raise SpecError(findings.problems())
        made: AuthConfig = object.__new__(kind)  # type: ignore[assignment]  # all types are subclasses
        return made


class NoAuth(AuthConfig):
    """No credentials for this endpoint, even if the spec has some."""

    type: str = declared(Choice("none"), default="none")


class BearerToken(AuthConfig):
    """`Authorization: Bearer <token>`."""

    type: str = declared(Choice("bearer_token", spellings=SPELLINGS), default="bearer_token")
    token: str = declared(Text(1), examples=["{{env:TOKEN}}"])


class ApiKey(AuthConfig):
    """A key in a header."""

    type: str = declared(Choice("api_key"), default="api_key")
    key: str = declared(Text(1), examples=["{{env:API_KEY}}"])
    header_name: str = declared(Text(1), "Header that carries the key.", default="X-API-Key")


class BasicAuth(AuthConfig):
    """`Authorization: Basic <base64 of username:password>` (RFC 7617, UTF-8)."""

    type: str = declared(Choice("basic"), default="basic")
    username: str = declared(Text())
    password: str = declared(Text(), examples=["{{env:PASSWORD}}"])


class OAuth2ClientCredentials(AuthConfig):
    """A token from an OAuth 2 token endpoint by client id and secret (RFC 6749, 4.4), renewed before it expires."""

    type: str = declared(Choice("oauth2_client_credentials"), default="oauth2_client_credentials")
    token_url: str = declared(Text(1), examples=["https://login.example.com/oauth/token"])
    client_id: str = declared(Text(1))
    client_secret: str = declared(Text(1), examples=["{{env:CLIENT_SECRET}}"])
    scope: str | None = declared(Text(), "Scopes, separated by spaces.", default=None)


class OAuth2PasswordGrant(AuthConfig):
    """A token from an OAuth 2 token endpoint by user name and password (RFC 6749, 4.3), renewed before it expires."""

    type: str = declared(Choice("oauth2_password_grant"), default="oauth2_password_grant")
    token_url: str = declared(Text(1), examples=["https://login.example.com/oauth/token"])
    client_id: str = declared(Text(1))
    client_secret: str | None = declared(Text(1), "Client secret, if the client has one.", default=None)
    username: str = declared(Text(1))
    password: str = declared(Text(1), examples=["{{env:PASSWORD}}"])
    scope: str | None = declared(Text(), "Scopes, separated by spaces.", default=None)


class Jwt(AuthConfig):
    """A JSON Web Token signed by atm (RFC 7519), and renewed before it expires."""

    type: str = declared(Choice("jwt"), default="jwt")
    secret: str = declared(Text(1), "Shared secret (HS…), or private key as PEM text.", examples=["{{env:KEY}}"])
    algorithm: str = declared(Choice(*JWT_ALGORITHMS), "Signature algorithm.", default="HS256")
    issuer: str | None = declared(Text(), "Claim `iss`.", default=None)
    subject: str | None = declared(Text(), "Claim `sub`.", default=None)
    audience: str | None = declared(Text(), "Claim `aud`.", default=None)
    claims: dict[str, Any] = declared(Json("object"), "Additional claims.", default={})
    expires_in: float = declared(
        Duration(positive=True), "Lifetime of the token; it is renewed before it expires.", default=3600.0
    )


FetchedCredential = OAuth2ClientCredentials | OAuth2PasswordGrant | Jwt
"""Credentials obtained during the run: fetched or signed, and renewed."""

AUTH = Tagged(
    SPELLINGS,
    none=NoAuth,
    bearer_token=BearerToken,
    api_key=ApiKey,
    basic=BasicAuth,
    oauth2_client_credentials=OAuth2ClientCredentials,
    oauth2_password_grant=OAuth2PasswordGrant,
    jwt=Jwt,
)
