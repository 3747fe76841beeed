"""Settings: the only module that reads the program's configuration from the environment.

(Specs read variables with `{{env:NAME}}`, under separate rules.) Lists are separated by commas; durations are written
as 30, 30s, 15m, 12h or 90d; an empty value counts as unset.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from atm import data_directory
from atm.access.strength import is_strong
from atm.access.token import token_for
from atm.errors import Problem, SettingsError

_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def read_span(value: str) -> timedelta:
    """Parse a duration such as `30`, `30s`, `15m`, `12h` or `90d`. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", value.strip())
    if not match:
        raise ValueError("should be a number of seconds, or a number followed by s, m, h or d")
    return timedelta(**{_UNITS[match.group(2)]: float(match.group(1))})


def _duration(value: Any) -> Any:
    return read_span(value) if isinstance(value, str) else value


def _path(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    path = "/" + value.strip().strip("/") if value.strip("/ ") else ""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("should be a path such as /atm: letters, digits, and . _ ~ - between slashes")
    return path


def _strong(value: SecretStr) -> SecretStr:
    if not is_strong(value.get_secret_value()):
        raise ValueError("is too easy to guess: use at least 16 random bytes, for example `openssl rand -hex 32`")
    return value


StrongKey = Annotated[SecretStr, AfterValidator(_strong)]


def _absolute_file(value: SecretStr | None) -> SecretStr | None:
    """Make the path of an SQLite URL absolute, as child processes have other working directories."""
    match = None if value is None else re.match(r"(sqlite(?:\+\w+)?:///)([^/?:][^?]*)", value.get_secret_value())
    if value is None or match is None:
        return value
    absolute = f"{match[1]}{Path(match[2]).absolute()}"
    return SecretStr(absolute + value.get_secret_value()[match.end() :])


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Span = Annotated[timedelta, BeforeValidator(_duration)]
File = Annotated[Path, AfterValidator(Path.absolute)]
UrlPath = Annotated[str, BeforeValidator(_path)]


class StorageType(StrEnum):
    """The storage of the history, set by ATM_STORAGE_TYPE. ATM_DATABASE_URL, when set, overrides `sqlite`."""

    SQLITE = "sqlite"
    JSON = "json"


class LocalAuth(StrEnum):
    """Authentication of local processes while no key exists, set by ATM_AUTH."""

    AUTO = "auto"
    """Processes of the server's account on systems that report it (Linux), else those that send the local token."""
    TOKEN = "token"
    """Processes that send the local token from the data directory."""
    OFF = "off"
    """All processes on this machine."""


class Settings(BaseSettings):
    """All settings; the environment variable is ATM_ and the field name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ATM_", env_ignore_empty=True, frozen=True, extra="ignore")

    data_dir: File = Field(default_factory=data_directory.default)
    """The directory of database or JSON files, keys and spools; `atm.data_directory` determines the default."""
    storage_type: StorageType = StorageType.SQLITE
    database_url: Annotated[SecretStr | None, AfterValidator(_absolute_file)] = None
    """A PostgreSQL server, or an SQLite file other than `atm.db` in the data directory."""
    db_echo: bool = False
    """Log all SQL statements."""

    server_api_key: StrongKey | None = Field(default=None, validation_alias="API_TEST_MACHINE_API_KEY")
    """A key that the server accepts besides those created with `atm keys create`."""
    api_url: str | None = None
    api_key: SecretStr | None = None
    """URL and key of the server for clients: the command line, the MCP server, the agent."""

    max_concurrent_runs: int = Field(default=1, ge=1)
    """Concurrent runs on this installation; runs on the same host distort each other's measurements."""
    cancel_runs_on_shutdown: bool = False
    """Whether a server cancels its runs on shutdown; by default they continue in their own processes."""
    agent: bool = True
    """Whether a server fires schedules and sends notifications itself; off when `atm agent` does."""
    max_rate: float | None = Field(default=None, gt=0)
    max_users: int | None = Field(default=None, ge=1)
    max_duration: Span | None = None
    max_requests: int | None = Field(default=None, ge=1)
    code_dir: File | None = None
    """The directory below which specs may name Python code; None: no code runs on this installation."""
    max_processes: int | None = Field(default=None, ge=1)
    """Most worker processes of a run that is started over the API; None: the number of cores."""
    fleet_clusters: Names = ()
    """The Ray clusters that runs started over the API may use; empty: none."""
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    max_bundle_bytes: int = Field(default=268_435_456, ge=1024)
    """Caps on runs started over the API (None: no cap), on the body of an API request, and on an imported run."""
    max_file_bytes: int = Field(default=67_108_864, ge=1024)
    max_files_bytes: int = Field(default=1_073_741_824, ge=1024)
    """Caps on one file of a saved test, and on the files of all tests together."""

    max_connections: int = Field(default=1000, ge=8)
    """Concurrent connections per server process, further limited by its file descriptors."""

    tls_cert: File | None = None
    tls_key: File | None = None
    """Certificate (with its chain) and key as PEM files: servers then speak HTTPS only."""
    auth: LocalAuth = LocalAuth.AUTO
    """Authentication of local processes while no key exists."""
    allowed_hosts: Names = ()
    trusted_proxies: Names = ()
    root_path: UrlPath = ""
    cors_origins: Names = ()
    """For a server behind a proxy, or a dashboard on another origin."""
    env_allow: Names = ()
    """The environment variables that specs sent over the API may read, besides TARGET_*."""
    allowed_targets: Names = ()
    """The hosts that runs started over the API may load; empty: all but link-local and metadata addresses."""
    secret_key: SecretStr | None = None
    """The key that seals stored credentials; without it, a key file in the data directory is used."""
    old_secret_key: SecretStr | None = None
    """The previous sealing key: it opens stored credentials until `atm keys rotate-seal` has resealed them."""

    mcp_allowed_targets: Names = ("localhost", "*.localhost", "127.0.0.0/8", "::1")
    """The hosts that agents may load through the MCP server: names (`*` for any part of one), addresses, networks."""
    mcp_read_only: bool = False
    """Whether the MCP server offers only tools that read."""
    mcp_key: StrongKey | None = None
    """The key that clients of `atm mcp --http` send as `Authorization: Bearer …`; required for other machines."""
    mcp_max_rate: float = Field(default=200, gt=0)
    mcp_max_users: int = Field(default=50, ge=1)
    mcp_max_duration: Span = timedelta(minutes=2)
    mcp_max_requests: int = Field(default=50_000, ge=1)
    """Limits for one call of an agent without confirmation by its user."""
    mcp_hourly_runs: int = Field(default=30, ge=1)
    mcp_hourly_requests: int = Field(default=200_000, ge=1)
    mcp_hourly_duration: Span = timedelta(minutes=20)
    """Limits for all calls of the last hour together."""

    retention_runs: Span | None = None
    """Age after which ended runs are pruned."""
    retention_count: int | None = Field(default=None, ge=1)
    """Number of runs above which the oldest are pruned."""
    retention_seconds: Span | None = None
    """Age of ended runs after which their 1 s intervals are pruned; those of 10 s and more stay with the run."""
    retention_samples: Span | None = None
    """Age of ended runs after which their sampled requests and responses are pruned."""
    retention_audit: Span | None = None
    """Age after which audit log entries are pruned; those of the last day always stay."""
    retention_firings: Span | None = None
    """Age after which firings of schedules are pruned; the newest of each schedule always stay."""

    def key_for(self, url: str) -> str | None:
        """Return the key for a server at this URL: ATM_API_KEY, else the token of a local server."""
        return self.api_key.get_secret_value() if self.api_key else token_for(url, self.data_dir)

    def secret_values(self) -> tuple[str, ...]:
        """Everything in the settings that no log may show: keys, and the password of the database."""
        named = (name for name, field in type(self).model_fields.items() if _is_secret(field.annotation))
        given = {name: value.get_secret_value() for name in named if (value := getattr(self, name)) is not None}
        url = given.pop("database_url", "")
        password = re.match(r"[^:/]+://[^/@]*?:(.+)@", url)
        secrets = [*given.values(), *((password[1], unquote(password[1])) if password else ())]
        return tuple(value for value in secrets if value)

    @property
    def database_file(self) -> Path:
        """The embedded database file."""
        return self.data_dir / "atm.db"

    @property
    def json_dir(self) -> Path:
        """The directory of the JSON storage."""
        return self.data_dir / "json"

    @property
    def key_file(self) -> Path:
        """The file with the sealing key, used when ATM_SECRET_KEY is not set."""
        return self.data_dir / "secret.key"


def load_settings() -> Settings:
    """Load the settings of this process. Raises SettingsError with all variables that have an invalid value."""
    secrets = _from_files(os.environ)
    try:
        # Keyed by alias where a field has one.
        return Settings(**secrets)  # type: ignore[arg-type]  # secrets, by name
    except ValidationError as error:
        raise SettingsError([_problem(detail["loc"], detail["msg"]) for detail in error.errors()]) from error


def _from_files(environment: Mapping[str, str]) -> dict[str, SecretStr]:
    """Return the secrets given as files in variables ending in `_FILE`, keyed by the argument name of Settings.

    Raises SettingsError when a file cannot be read, or a secret is also given directly.
    """
    secrets: dict[str, SecretStr] = {}
    problems: list[Problem] = []
    for name, field in Settings.model_fields.items():
        if not _is_secret(field.annotation):
            continue
        alias = str(field.validation_alias) if field.validation_alias else None
        variable = alias or f"ATM_{name.upper()}"
        path = environment.get(f"{variable}_FILE", "")
        if not path:
            continue
        if environment.get(variable):
            what = f"{variable} and {variable}_FILE are both set"
            problems.append(Problem(what, "invalid_setting", path=f"{variable}_FILE", hint="set one of them"))
            continue
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            what = f"{variable}_FILE names a file that cannot be read: {reason}"
            problems.append(Problem(what, "invalid_setting", path=f"{variable}_FILE"))
            continue
        if not text:
            what = f"{variable}_FILE names an empty file"
            problems.append(Problem(what, "invalid_setting", path=f"{variable}_FILE"))
        secrets[alias or name] = SecretStr(text)
    if problems:
        raise SettingsError(problems)
    return secrets


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))


def _problem(location: tuple[int | str, ...], message: str) -> Problem:
    name = str(location[0]) if location else "?"
    variable = name if name.isupper() else f"ATM_{name.upper()}"
    what = message.removeprefix("Value error, ").removeprefix("Input ")
    # The value is left out of the message, as it may be a secret.
    return Problem(f"{variable} {what}", "invalid_setting", path=variable)
