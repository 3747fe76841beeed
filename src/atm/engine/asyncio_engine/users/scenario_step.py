"""A step of a scenario: renders its requests with the values of a user, and judges responses by named checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from atm.engine.asyncio_engine.ledger.ledger import CheckBooks
from atm.engine.asyncio_engine.scenario.answer import Answer
from atm.engine.asyncio_engine.scenario.condition import condition_of
from atm.engine.asyncio_engine.scenario.cookies import Jar
from atm.engine.asyncio_engine.scenario.extract import extract_of
from atm.engine.asyncio_engine.scenario.message import failed_check, nothing_to_extract
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.scenario.value import UNSET, Value, text_form
from atm.engine.asyncio_engine.transport.exchange import Response
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.engine.asyncio_engine.users.request_template import RequestTemplate
from atm.engine.asyncio_engine.users.session import Session
from atm.engine.secrets import is_secret_value
from atm.models.outcome import Outcome
from atm.plan.connections import Origin
from atm.plan.load_plan import Flow, LoadPlan, Step
from atm.plan.program import Comparison, Condition, Negation, Slot, Subject

_ON_THE_BODY = frozenset({"body", "json", "regex"})


class Judgement(NamedTuple):
    """What a full response is worth."""

    outcome: Outcome
    message: str
    lacks_value: bool
    """It has no value for an extract without a default."""
    checks: Sequence[tuple[int, bool]] = ()
    """The plan's checks that judged it, and whether each passed."""
    values: Sequence[tuple[int, Value]] = ()
    """The slots that it set, with their values."""


class ScenarioStep(PreparedStep):
    """The parts of a step that all its requests share."""

    def __init__(self, plan: LoadPlan, flow: Flow, step: Step, secrets: Mapping[str, str], context: Context) -> None:
        """`context` holds the current secrets, too."""
        self._context = context
        self._flow = flow
        self._destination = plan.origins[step.origin]
        super().__init__(plan, step, secrets)
        self.secret_headers |= {
            header.name.lower()
            for header in step.headers
            if any(is_secret_value(part, flow.slots) for part in header.value)
        }
        self.has_secret_body = self.has_secret_body or any(
            is_secret_value(part, flow.slots) for part in step.body or ()
        )
        self.wants_body = self.wants_body or reads_body(step)
        self._checks = [
            (check, condition_of(check.condition, context), failed_check(plan.checks[check.check].name, check.text))
            for check in step.named_checks
        ]
        self._extracts = [
            (
                extract.slot,
                extract_of(extract, context),
                nothing_to_extract(flow.slots[extract.slot].name, extract.text),
            )
            for extract in step.extracts
        ]
        self._has_answer = bool(self._checks or self._extracts)
        self._secret_slots = [index for index, slot in enumerate(flow.slots) if slot.is_secret]

    def prepare(self, secrets: Mapping[str, str]) -> None:
        """Render again with these secrets; used by requests that start from now on."""
        self._learn_connection(secrets)
        self.template = RequestTemplate(
            self._step,
            self._flow.slots,
            self._context,
            secrets,
            uses_cookies=self._flow.uses_cookies,
            prefix=self._prefix,
            extra_headers=self._extra_headers,
        )
        self.constant = self.template.constant
        self.render = self._rendered

    def _rendered(self, session: Session) -> bytes:
        return self.template.render(session, lambda target: self.cookies_for(session, target))

    def cookies_for(self, session: Session, target: bytes) -> bytes:
        """Return the value of the Cookie header for a request of this step."""
        assert session.jar is not None
        return cookies_of(session.jar, self._destination, target, self._context)

    def judge(
        self, session: Session, response: Response, time_ns: int, books: CheckBooks, *, withheld: bool
    ) -> Judgement:
        """Judge a full response, count its checks, and put its values into the variables of the user."""
        message = ""
        outcome = Outcome.OK
        if response.status not in self.expected:
            outcome, message = Outcome.UNEXPECTED_STATUS, self.unexpected(response.status, withheld=withheld)
        elif self.check is not None and (failure := self.check(response)):
            outcome, message = Outcome.CHECK_FAILED, failure
        if not self._has_answer:
            return Judgement(outcome, message, lacks_value=False)
        lacks_value = False
        evaluated: list[tuple[int, bool]] = []
        values: list[tuple[int, Value]] = []
        answer = Answer(
            status=response.status,
            time_ns=time_ns,
            size=response.body_bytes,
            raw=response.raw,
            body=response.body,
        )
        for check, holds, failure in self._checks:
            passed = holds(answer, session)
            books.count(check.check, passed=passed)
            evaluated.append((check.check, passed))
            if not passed and not check.counts_only and outcome is Outcome.OK:
                outcome, message = Outcome.CHECK_FAILED, failure
        for slot, extracted, failure in self._extracts:
            value = session.slots[slot] = extracted(answer, session)
            values.append((slot, value))
            if value is UNSET:
                lacks_value = True
                if outcome is Outcome.OK:
                    outcome, message = Outcome.CHECK_FAILED, failure
        return Judgement(outcome, message, lacks_value, evaluated, values)

    @property
    def variables(self) -> Sequence[Slot]:
        """The slots of its flow."""
        return self._flow.slots

    def secret_slots_of(self, session: Session) -> list[str]:
        """Return the values of the user's secret variables, in their text form."""
        return [text_form(session.slots[slot]) for slot in self._secret_slots]


def cookies_of(jar: Jar | None, origin: Origin, target: bytes, context: Context) -> bytes:
    """Return the value of the Cookie header for a request of a user; empty without a cookie for it."""
    if jar is None:
        return b""
    now_s = context.wall_ns() // 1_000_000_000
    is_https = origin.scheme == "https"
    header = jar.header(host=origin.host, path=path_of(target), is_https=is_https, now_s=now_s)
    return header.encode("latin-1", "replace")


def path_of(target: bytes) -> str:
    """Return the path of a target without its query."""
    return target.partition(b"?")[0].decode("latin-1")


def reads_body(step: Step) -> bool:
    """Return whether a named check or an extract of a step reads the body."""
    return any(_reads_body(check.condition) for check in step.named_checks) or any(
        _is_on_body(extract.subject) for extract in step.extracts
    )


def _reads_body(condition: Condition) -> bool:
    if isinstance(condition, Comparison):
        return _is_on_body(condition.subject)
    if isinstance(condition, Negation):
        return _reads_body(condition.part)
    return any(_reads_body(part) for part in condition.parts)


def _is_on_body(subject: Subject) -> bool:
    return subject.kind in _ON_THE_BODY
