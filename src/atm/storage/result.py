"""Split a `RunResult` into the JSON documents that are stored, and join them again without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from atm.models.run import RunResult, SampledExchange
from atm.storage.errors import corrupt

_SAMPLES = TypeAdapter(list[SampledExchange])


@dataclass(frozen=True, slots=True)
class ResultDocuments:
    """The JSON texts of a result, separated so that each query reads only the documents it needs."""

    metrics: str
    endpoint_metrics: str
    samples: str
    rest: str
    """All other fields except the spec, which the run has already."""


def split(result: RunResult) -> ResultDocuments:
    """Split a result into its documents."""
    # Through JSON text: only there +∞ becomes the string that the other formats use.
    document = json.loads(result.model_dump_json())
    document.pop("spec")
    metrics = document.pop("metrics")
    endpoint_metrics = document.pop("endpoint_metrics")
    samples = document.pop("samples")
    return ResultDocuments(dumps(metrics), dumps(endpoint_metrics), dumps(samples), dumps(document))


def join(documents: ResultDocuments, spec: Mapping[str, Any], run_id: str) -> RunResult:
    """Join the documents of `split`. Raises CorruptDataError for invalid documents."""
    try:
        document = json.loads(documents.rest)
        document["metrics"] = json.loads(documents.metrics)
        document["endpoint_metrics"] = json.loads(documents.endpoint_metrics)
        document["samples"] = json.loads(documents.samples)
        document["spec"] = dict(spec)
        return stored_result(document)
    except (ValueError, TypeError) as error:
        raise corrupt(f"the result of run {run_id}", error) from error


def stored_result(document: Any) -> RunResult:
    """Return a stored result, ignoring unknown fields of other versions. Raises pydantic.ValidationError."""
    return RunResult.model_validate(document, extra="ignore")


def stored_sample(document: Any) -> SampledExchange:
    """Return a stored sample; otherwise as `stored_result`."""
    return SampledExchange.model_validate(document, extra="ignore")


def samples_to_text(samples: Sequence[SampledExchange]) -> list[str]:
    """Return a JSON object for each sample."""
    return [sample.model_dump_json() for sample in samples]


def samples_from_text(text: str, run_id: str) -> list[SampledExchange]:
    """Parse a JSON array of samples. Raises CorruptDataError."""
    try:
        return _SAMPLES.validate_json(text, extra="ignore")
    except ValidationError as error:
        raise corrupt(f"the samples of run {run_id}", error) from error


def dumps(value: Any) -> str:
    """Return compact JSON, without escaping non-ASCII text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
