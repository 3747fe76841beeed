from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import jsonschema
import yaml
from hypothesis import given
from hypothesis import strategies as st

from atm.models.fields import Findings
from atm.models.schema import spec_json_schema
from atm.models.spec import TestSpec
from atm.plan.compile import compile_plan
from atm.plan.load_plan import LoadPlan
from atm.plan.plan_decoder import decode
from atm.plan.spec_reader import read_spec_text
from atm.plan.templates import percent_encoded
from tests.examples import examples
from tests.strategies import ENVIRONMENT, specs


class _Quoting(yaml.SafeDumper):
    """Quotes all text: PyYAML leaves text such as 1e3 plain, which is a number in YAML 1.2."""


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@given(specs())
@examples(100)
def test_yaml_and_json_mean_the_same(spec: dict[str, Any]) -> None:
    as_json = read_spec_text(json.dumps(spec).encode(), "spec.json").data
    as_yaml = read_spec_text(
        yaml.dump(spec, Dumper=_Quoting, allow_unicode=True, sort_keys=False).encode(), "spec.yaml"
    ).data
    assert as_json == as_yaml == spec
    assert compile_plan(as_json, ENVIRONMENT) == compile_plan(as_yaml, ENVIRONMENT)


@given(specs())
@examples(100)
def test_compiling_is_deterministic_and_the_plan_survives_its_bytes(spec: dict[str, Any]) -> None:
    first, second = compile_plan(spec, ENVIRONMENT), compile_plan(spec, ENVIRONMENT)
    assert first.plan.to_bytes() == second.plan.to_bytes()
    assert decode(LoadPlan, json.loads(first.plan.to_bytes())) == first.plan


@given(specs())
@examples(100)
def test_a_plan_holds_no_secret(spec: dict[str, Any]) -> None:
    test = compile_plan(spec, ENVIRONMENT)
    plan = test.plan.to_bytes().decode()
    for value in (ENVIRONMENT["TOKEN"], ENVIRONMENT["PASSWORD"], "YWRhOnBhOnNzIHfDtnJk"):
        assert value not in plan
        assert value not in json.dumps(test.data)


@given(specs())
@examples(100)
def test_a_spec_written_out_compiles_to_the_same_plan(spec: dict[str, Any]) -> None:
    findings = Findings()
    model = TestSpec.read(spec, (), findings)
    assert not len(findings)
    assert TestSpec.from_data(model.to_data()) == model
    assert compile_plan(model, ENVIRONMENT).plan == compile_plan(spec, ENVIRONMENT).plan


@given(specs())
@examples(50)
def test_what_compiles_fits_the_schema(spec: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(spec_json_schema()).validate(spec)


@given(st.text(), st.sampled_from(["", "/?:@"]))
def test_percent_encoding_is_that_of_the_standard_library(text: str, safe: str) -> None:
    assert percent_encoded(text, safe) == quote(text, safe=safe)
