"""A step of the plan, made ready to be sent many times."""

from __future__ import annotations

from collections.abc import Mapping

from atm.engine.asyncio_engine.judging import expected_set, expected_words, failed_check
from atm.engine.asyncio_engine.rendering import Render, renderer
from atm.engine.slots import slots_of
from atm.metrics.recorder import Recorder
from atm.plan.load_plan import Header, LoadPlan, SecretPart, Step

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


class Job:
    """Everything about a step that is the same for each of its requests."""

    def __init__(self, plan: LoadPlan, step: Step, recorder: Recorder, secrets: Mapping[str, str]) -> None:
        self._plan = plan
        self.step = step
        self.origin = step.origin
        self.measured = recorder.measured[step.endpoint]
        self.warm_up = recorder.warm_up[step.endpoint]
        self.timeout_ns = step.timeout_ns
        self.timeout_message = f"no full answer in {_seconds(step.timeout_ns)}"
        self.head_only = step.method == "HEAD"
        self.idempotent = step.method in _IDEMPOTENT
        self.expected = expected_set(step.expected_statuses)
        self.expected_words = expected_words(step.expected_statuses)
        self.failed_check = failed_check(step.checks) if step.checks else None
        self.follows = plan.connections.redirects > 0
        self.slots = slots_of(step)
        self.constant: bytes | None = None
        self.render: Render = _never
        self._extra_headers: tuple[Header, ...] = ()
        self._prefix = ""
        origin = plan.origins[step.origin]
        proxy = plan.connections.proxy
        if proxy and origin.scheme == "http":
            self._prefix = f"http://{authority(origin.host, origin.port, 80)}"
            if proxy.authorization_slot:
                self._extra_headers = (Header("Proxy-Authorization", (SecretPart(proxy.authorization_slot),)),)
                self.slots |= {proxy.authorization_slot}
        self.prepare(secrets)

    def prepare(self, secrets: Mapping[str, str]) -> None:
        """Render anew with these secrets; requests that begin from now on use them."""
        rendered = renderer(self.step, self._plan.seed, secrets, prefix=self._prefix, extra_headers=self._extra_headers)
        if isinstance(rendered, bytes):
            self.constant = rendered
        else:
            self.render = rendered

    def unexpected(self, status: int, *, withheld: bool = False) -> str:
        """The message of a full response with a status that is not expected; see `Redirects.withholds`."""
        if withheld:
            return f"{status} to another origin not followed: the request body holds a secret"
        return f"{status}, expected {self.expected_words}"


def authority(host: str, port: int, default_port: int) -> str:
    """`host:port` as in a URL, without the default port, IPv6 in brackets."""
    name = f"[{host}]" if ":" in host else host
    return name if port == default_port else f"{name}:{port}"


def _seconds(duration_ns: int) -> str:
    """Seconds with all their digits and no more: `0.25 s`, `1234.5678 s`."""
    whole, rest = divmod(duration_ns, 1_000_000_000)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + " s"


def _never(_number: int) -> bytes:
    raise AssertionError("a constant request is not rendered")
