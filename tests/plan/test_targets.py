"""What may be dialled: one table of cases for both engines, which are held to it by their own tests."""

from __future__ import annotations

from atm.plan.targets import TargetRules
from tests.vectors import vectors


def test_addresses_are_judged_as_the_other_engine_judges_them() -> None:
    for case in vectors("targets")["cases"]:
        rules = TargetRules(tuple(case["allowed"]))
        address = case["address"]
        found = rules.refusal_of_name(case["host"]) if address is None else rules.refusal(case["host"], address)
        assert found == case["refusal"], case


def test_networks_are_written_as_every_engine_reads_them() -> None:
    named = ("10.1.2.3/255.0.0.0", "[::1]", "127.0.0.1", "*.Example.com", "fe80::7/10")
    rules = TargetRules.of(named)
    assert rules.allowed == ("10.0.0.0/8", "::1/128", "127.0.0.1/32", "*.Example.com", "fe80::/10")
    for host, address in (("a", "10.9.9.9"), ("a", "11.0.0.1"), ("b.example.com", "11.0.0.1"), ("a", "::1")):
        assert rules.refusal(host, address) == TargetRules(named).refusal(host, address)
