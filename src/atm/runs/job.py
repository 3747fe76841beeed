"""The job that a runner receives by pipe: plan, secrets and spool path. One line of JSON, never written to disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from atm.dataclass import dataclass
from atm.models.field_types import INVALID
from atm.models.fields import Findings
from atm.models.spec import TestSpec
from atm.plan.compile import CompiledTest
from atm.plan.hooks import CompiledHook
from atm.plan.load_plan import LoadPlan
from atm.plan.plan_decoder import decode
from atm.plan.step_names import WrittenRequest

if TYPE_CHECKING:
    from atm.models.auth import FetchedCredential


@dataclass(frozen=True, slots=True)
class Job:
    """One run to execute. It holds secrets: sent by pipe only, never logged."""

    run_id: str
    token: str
    """The token of the lease."""
    spool: str
    """The file that the runner writes."""
    test: CompiledTest = field(repr=False)
    settings: Mapping[str, Any] = field(repr=False)
    """The storage settings, for the recorder."""
    other_run: str = ""
    """A concurrent run on this host, which makes the measurement suspect."""
    max_seconds: float | None = None
    """The installation's cap: a run that takes longer is stopped."""

    def to_bytes(self) -> bytes:
        """Return one line of JSON, line feed included."""
        test = self.test
        document = {
            "run_id": self.run_id,
            "token": self.token,
            "spool": self.spool,
            "plan": test.plan.to_bytes().decode(),
            "setup": _hook_document(test.setup),
            "teardown": _hook_document(test.teardown),
            "secrets": dict(test.secrets),
            "credentials": {slot: credential.to_data() for slot, credential in test.credentials.items()},
            "requests": [[request.name, request.method, request.url] for request in test.requests],
            "data": dict(test.data),
            "settings": dict(self.settings),
            "other_run": self.other_run,
            "max_seconds": self.max_seconds,
        }
        return json.dumps(document).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        """Read the output of `to_bytes`. Raises ValueError or KeyError for other data."""
        document = json.loads(data)
        findings = Findings()
        test = CompiledTest(
            plan=decode(LoadPlan, json.loads(document["plan"])),
            setup=_hook(document["setup"]),
            teardown=_hook(document["teardown"]),
            secrets=document["secrets"],
            credentials={slot: _credential(given) for slot, given in document["credentials"].items()},
            # Masked values may break a field's rules, so findings are ignored; the spec is only shown.
            spec=TestSpec.read(document["data"], (), findings),
            requests=tuple(WrittenRequest(*request) for request in document["requests"]),
            data=document["data"],
        )
        return cls(
            document["run_id"],
            document["token"],
            document["spool"],
            test,
            document["settings"],
            document["other_run"],
            document["max_seconds"],
        )


def _hook_document(hook: CompiledHook | None) -> dict[str, Any] | None:
    if hook is None:
        return None
    return {
        "plan": hook.plan.to_bytes().decode(),
        "tolerated": hook.tolerated,
        "timeout_ns": hook.timeout_ns,
    }


def _hook(data: Mapping[str, Any] | None) -> CompiledHook | None:
    if data is None:
        return None
    plan = decode(LoadPlan, json.loads(data["plan"]))
    return CompiledHook(plan, tuple(data["tolerated"]), data["timeout_ns"])


def _credential(data: Mapping[str, Any]) -> FetchedCredential:
    from atm.models.auth import AUTH

    findings = Findings()
    credential = AUTH.read(data, ("auth",), findings)
    if credential is INVALID or len(findings):
        raise ValueError("a credential of the job cannot be read")
    return credential  # type: ignore[no-any-return]  # kinds read into Any
