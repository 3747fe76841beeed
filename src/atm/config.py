"""Settings: the only place that reads the environment for the program itself.

(A spec may read the environment too, by `{{env:NAME}}`; that is the spec's business and has rules of its own.)
Lists are written with commas; durations as 30, 30s, 15m, 12h or 90d; an empty value is the same as none.
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
    """A span as settings are written: `30`, `30s`, `15m`, `12h`, `90d`. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", value.strip())
    if not found:
        raise ValueError("should be a number of seconds, or one with s, m, h or d after it")
    return timedelta(**{_UNITS[found.group(2)]: float(found.group(1))})


def _duration(value: Any) -> Any:
    return read_span(value) if isinstance(value, str) else value


def _path(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    path = "/" + value.strip().strip("/") if value.strip("/ ") else ""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("should be a path as /atm: letters, digits, and . _ ~ - between slashes")
    return path


def _strong(value: SecretStr) -> SecretStr:
    if not is_strong(value.get_secret_value()):
        raise ValueError("is too easy to guess: it needs 16 random bytes or more, as `openssl rand -hex 32` makes them")
    return value


StrongKey = Annotated[SecretStr, AfterValidator(_strong)]


def _absolute_file(value: SecretStr | None) -> SecretStr | None:
    """An SQLite file by its whole path: processes of ours do not work where this one does."""
    found = None if value is None else re.match(r"(sqlite(?:\+\w+)?:///)([^/?:][^?]*)", value.get_secret_value())
    if value is None or found is None:
        return value
    absolute = f"{found[1]}{Path(found[2]).absolute()}"
    return SecretStr(absolute + value.get_secret_value()[found.end() :])


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Span = Annotated[timedelta, BeforeValidator(_duration)]
File = Annotated[Path, AfterValidator(Path.absolute)]
UrlPath = Annotated[str, BeforeValidator(_path)]


class StorageType(StrEnum):
    """Where the history is kept, as ATM_STORAGE_TYPE names it. ATM_DATABASE_URL, when set, wins over `sqlite`."""

    SQLITE = "sqlite"
    JSON = "json"


class LocalAuth(StrEnum):
    """Who on this machine is let in while there is no key, as ATM_AUTH names it."""

    AUTO = "auto"
    """Processes of the server's account where the system names them (Linux), else those that send the token."""
    TOKEN = "token"
    """Those that send the token which lies in the data directory."""
    OFF = "off"
    """Every process of this machine."""


class Settings(BaseSettings):
    """Everything that can be set from outside; the environment variable is ATM_ and the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ATM_", env_ignore_empty=True, frozen=True, extra="ignore")

    data_dir: File = Field(default_factory=data_directory.default)
    """Database or JSON files, keys, spool files; `atm.data_directory` says which directory it is by default."""
    storage_type: StorageType = StorageType.SQLITE
    database_url: Annotated[SecretStr | None, AfterValidator(_absolute_file)] = None
    """A PostgreSQL server, or another SQLite file than `atm.db` in the data directory."""
    db_echo: bool = False
    """Log every statement."""

    server_api_key: StrongKey | None = Field(default=None, validation_alias="API_TEST_MACHINE_API_KEY")
    """The key that the server asks for, beside those made with `atm keys create`."""
    api_url: str | None = None
    api_key: SecretStr | None = None
    """Server and key that clients use: the command line, the MCP server, the agent."""

    max_concurrent_runs: int = Field(default=1, ge=1)
    """Runs at the same time on this installation: two runs on one host spoil each other's figures."""
    cancel_runs_on_shutdown: bool = False
    """What a server that shuts down does with its runs: by default they go on in processes of their own."""
    agent: bool = True
    """Whether a server fires schedules and sends notifications itself; off where `atm agent` does."""
    max_rate: float | None = Field(default=None, gt=0)
    max_users: int | None = Field(default=None, ge=1)
    max_duration: Span | None = None
    max_requests: int | None = Field(default=None, ge=1)
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    max_bundle_bytes: int = Field(default=268_435_456, ge=1024)
    """Caps on what a run through the API may ask for, on the body of a request to the API, and on a run that is
    imported through it; null: no cap."""

    max_connections: int = Field(default=1000, ge=8)
    """How many connections each process of a server takes at a time, as far as its file descriptors reach."""

    tls_cert: File | None = None
    tls_key: File | None = None
    """Certificate (with its chain) and key as PEM files: servers then speak HTTPS only."""
    auth: LocalAuth = LocalAuth.AUTO
    """Who on this machine is let in while there is no key."""
    allowed_hosts: Names = ()
    trusted_proxies: Names = ()
    root_path: UrlPath = ""
    cors_origins: Names = ()
    """For a server behind a proxy, or a dashboard of another origin."""
    env_allow: Names = ()
    """The variables that specs coming through the API may read, beside TARGET_*."""
    allowed_targets: Names = ()
    """The hosts that runs through the API may load; empty: all but link-local and metadata addresses."""
    secret_key: SecretStr | None = None
    """What stored credentials are sealed with; without it, a key file in the data directory."""
    old_secret_key: SecretStr | None = None
    """What they were sealed with before: it opens them until `atm keys rotate-seal` has sealed them again."""

    mcp_allowed_targets: Names = ("localhost", "*.localhost", "127.0.0.0/8", "::1")
    """The hosts that agents may load through the MCP server: names (`*` for any part of one), addresses, networks."""
    mcp_read_only: bool = False
    """Agents may look, and change nothing."""
    mcp_key: StrongKey | None = None
    """What clients of `atm mcp --http` send as `Authorization: Bearer …`; needed beyond this machine."""
    mcp_max_rate: float = Field(default=200, gt=0)
    mcp_max_users: int = Field(default=50, ge=1)
    mcp_max_duration: Span = timedelta(minutes=2)
    mcp_max_requests: int = Field(default=50_000, ge=1)
    """What one call of an agent may start without a word of the person in front of it."""
    mcp_hourly_runs: int = Field(default=30, ge=1)
    mcp_hourly_requests: int = Field(default=200_000, ge=1)
    mcp_hourly_duration: Span = timedelta(minutes=20)
    """The same for all calls of the last hour together."""

    retention_runs: Span | None = None
    """Runs that ended longer ago are pruned."""
    retention_count: int | None = Field(default=None, ge=1)
    """Of more runs than this the oldest are pruned."""
    retention_seconds: Span | None = None
    """Intervals of 1 s of runs that ended longer ago are pruned; those of 10 s and more stay with the run."""
    retention_samples: Span | None = None
    """Kept requests and responses of runs that ended longer ago are pruned."""
    retention_audit: Span | None = None
    """Entries of the audit log that are older are pruned; those of the last day always stay."""
    retention_firings: Span | None = None
    """Firings of schedules that were due longer ago are pruned; the newest of each schedule stay."""

    def key_for(self, url: str) -> str | None:
        """The key that clients send to the server at this address: ATM_API_KEY, else the token of a local one."""
        return self.api_key.get_secret_value() if self.api_key else token_for(url, self.data_dir)

    def secret_values(self) -> tuple[str, ...]:
        """Everything in the settings that no log may show: keys, and the password of the database."""
        named = (name for name, field in type(self).model_fields.items() if _is_secret(field.annotation))
        given = {name: value.get_secret_value() for name in named if (value := getattr(self, name)) is not None}
        url = given.pop("database_url", "")
        password = re.match(r"[^:/]+://[^/@]*?:(.+)@", url)
        found = [*given.values(), *((password[1], unquote(password[1])) if password else ())]
        return tuple(value for value in found if value)

    @property
    def database_file(self) -> Path:
        """The embedded database."""
        return self.data_dir / "atm.db"

    @property
    def json_dir(self) -> Path:
        """Where JSON files are kept."""
        return self.data_dir / "json"

    @property
    def key_file(self) -> Path:
        """What stored credentials are sealed with, where ATM_SECRET_KEY is not set."""
        return self.data_dir / "secret.key"


def load_settings() -> Settings:
    """The settings of this process. Raises SettingsError, which names every variable with a value that cannot be."""
    given = _from_files(os.environ)
    try:
        # By the names of the variables: fields of another name have an alias.
        return Settings(**given)  # type: ignore[arg-type]  # secrets, by name
    except ValidationError as error:
        raise SettingsError([_problem(each["loc"], each["msg"]) for each in error.errors()]) from error


def _from_files(environment: Mapping[str, str]) -> dict[str, SecretStr]:
    """Secrets whose variable with `_FILE` at its end names a file, by the names that Settings takes them by.

    Raises SettingsError where a file cannot be read, or where a secret is given in both ways.
    """
    found: dict[str, SecretStr] = {}
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
            why = getattr(error, "strerror", None) or "it is no text"
            what = f"{variable}_FILE names a file that cannot be read: {why}"
            problems.append(Problem(what, "invalid_setting", path=f"{variable}_FILE"))
            continue
        if not text:
            what = f"{variable}_FILE names an empty file"
            problems.append(Problem(what, "invalid_setting", path=f"{variable}_FILE"))
        found[alias or name] = SecretStr(text)
    if problems:
        raise SettingsError(problems)
    return found


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))


def _problem(location: tuple[int | str, ...], message: str) -> Problem:
    name = str(location[0]) if location else "?"
    variable = name if name.isupper() else f"ATM_{name.upper()}"
    what = message.removeprefix("Value error, ").removeprefix("Input ")
    # The value itself stays out of the message: it may be a secret.
    return Problem(f"{variable} {what}", "invalid_setting", path=variable)
