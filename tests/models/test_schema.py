from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from atm.errors import SpecError
from atm.models.auth import AUTH
from atm.models.fields import SpecModel
from atm.models.load import LoadSpec
from atm.models.schema import spec_json_schema
from atm.models.spec import EndpointSpec, TestSpec, TlsSpec
from atm.models.threshold_spec import Thresholds
from atm.plan.spec_reader import read_spec_text
from atm.plan.starter import starter_text

ROOT = Path(__file__).parents[2]


def test_the_schema_is_one_and_takes_what_the_reader_takes() -> None:
    schema = spec_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for text in (starter_text().encode(), ROOT.joinpath("examples/quickstart.yaml").read_bytes()):
        validator.validate(read_spec_text(text).data)
    validator.validate({"name": "a", "url": "http://h/", "timeout_seconds": 5, "thresholds": "p99 < 1s"})
    validator.validate({"name": "a", "url": "http://h/", "thresholds": [{"expression": "rps > 1", "abort": True}]})


@pytest.mark.parametrize(
    "spec",
    [
        {"url": "http://h/"},
        {"name": "a", "concurency": 5},
        {"name": "a", "total_requests": 0},
        {"name": "a", "auth": {"type": "bearer"}},
        {"name": "a", "endpoints": [{"name": "b"}]},
        {"name": "a", "engine": "rust"},
        {"name": "a", "expected_status_codes": ["6xx"]},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(spec: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        TestSpec.from_data(spec)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, spec_json_schema())


def test_editors_can_complete_every_field() -> None:
    schema = spec_json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name, field in model.get("properties", {}).items():
            assert field["title"], name
            obvious = model["title"] in {"BasicAuth", "OAuth2ClientCredentials", "OAuth2PasswordGrant"}
            assert "description" in field or "examples" in field or name == "type" or obvious, name


def test_the_reference_names_every_field() -> None:
    text = ROOT.joinpath("docs/reference/spec.md").read_text(encoding="utf-8")
    models: list[type[SpecModel]] = [TestSpec, EndpointSpec, LoadSpec, Thresholds, TlsSpec, *AUTH.models.values()]
    for model in models:
        for name in model.declarations:
            assert f"`{name}`" in text, f"{model.__name__}.{name}"


def test_models_take_part_in_pydantic_as_types() -> None:
    class Posted(BaseModel):
        spec: TestSpec

    posted = Posted.model_validate({"spec": {"name": "a", "url": "http://h/", "duration": "5s"}})
    assert posted.spec == TestSpec(name="a", url="http://h/", duration=5)
    assert posted.model_dump() == {"spec": {"name": "a", "url": "http://h/", "duration": 5.0}}
    assert Posted.model_json_schema()["properties"]["spec"]["title"] == "TestSpec"
    with pytest.raises(ValidationError, match="unknown field"):
        Posted.model_validate({"spec": {"name": "a", "ur": "http://h/"}})


def test_models_are_frozen_equal_by_value_and_say_what_was_written() -> None:
    spec = TestSpec.from_data({"name": "a", "url": "http://h/", "timeout_seconds": 30})
    assert spec == TestSpec(name="a", url="http://h/")
    assert spec != TestSpec(name="a", url="http://h/", timeout=1)
    assert repr(spec) == "TestSpec(name='a', url='http://h/', timeout=30.0)"
    with pytest.raises(AttributeError, match="TestSpec is frozen"):
        spec.name = "b"  # type: ignore[misc]
    with pytest.raises(SpecError, match="the spec needs a field name"):
        TestSpec(url="http://h/")  # type: ignore[call-arg]
