"""Compile the thresholds of a spec: of the whole run, of its endpoints or steps, and of its scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atm.dataclass import dataclass
from atm.errors import SpecError
from atm.models.fields import Findings, Path
from atm.models.outline import CheckName, ScenarioSteps
from atm.models.own_metric import OwnMetric
from atm.models.spec import TestSpec
from atm.models.threshold import IMPLIED, IMPLIED_OF_CODE, Threshold, parse_threshold
from atm.models.threshold_spec import Thresholds

_NAMED = (
    ("max_latency_p50_ms", "p50 <= {} ms"),
    ("max_latency_p95_ms", "p95 <= {} ms"),
    ("max_latency_p99_ms", "p99 <= {} ms"),
    ("max_error_rate", "error_rate <= {}"),
    ("min_throughput_rps", "throughput >= {}"),
)


@dataclass(frozen=True, slots=True)
class Criteria:
    """Compiles thresholds, which may name the plan's endpoints, scenarios and checks."""

    spec: TestSpec
    findings: Findings
    endpoints: Sequence[str]
    scenarios: Sequence[ScenarioSteps]
    checks: Sequence[CheckName]
    own_metrics: Sequence[OwnMetric]
    steps: Mapping[int, tuple[Thresholds, Path]]
    """The thresholds of each endpoint or step by its index, with the path of the endpoint or step."""

    def thresholds(self) -> tuple[Threshold, ...]:
        """Return every threshold; the implied ones if there are none."""
        rules = self._rules(self.spec.thresholds, ("thresholds",))
        for index, (thresholds, path) in self.steps.items():
            rules += self._rules(thresholds, (*path, "thresholds"), endpoint=index)
        for index, (name, scenario) in enumerate((self.spec.scenarios or {}).items()):
            rules += self._rules(scenario.thresholds, ("scenarios", name, "thresholds"), scenario=index)
        if rules:
            return tuple(rules)
        has_code = self.spec.hooks is not None or any(scenario.is_code for scenario in self.scenarios)
        return (IMPLIED, IMPLIED_OF_CODE) if has_code else (IMPLIED,)

    def _rules(
        self, thresholds: Thresholds, path: Path, *, endpoint: int | None = None, scenario: int | None = None
    ) -> list[Threshold]:
        rules = [
            parse_threshold(
                form.format(f"{getattr(thresholds, name):.12f}"),
                endpoints=self.endpoints,
                scenarios=self.scenarios,
                endpoint=endpoint,
                scenario=scenario,
            )
            for name, form in _NAMED
            if getattr(thresholds, name) is not None
        ]
        is_single = self.spec.endpoints is None and self.spec.scenarios is None
        for index, rule in enumerate(thresholds.expressions):
            try:
                parsed = parse_threshold(
                    rule.expression,
                    endpoints=() if is_single else self.endpoints,
                    scenarios=self.scenarios,
                    checks=self.checks,
                    own_metrics=self.own_metrics,
                    endpoint=endpoint,
                    scenario=scenario,
                    abort=rule.abort,
                    abort_after_seconds=rule.abort_after,
                    min_samples=rule.min_samples,
                )
            except SpecError as error:
                problem = error.problems[0]
                self.findings.add((*path, "expressions", index), problem.what, problem.code, problem.hint)
            else:
                rules.append(parsed)
        return rules
