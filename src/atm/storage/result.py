"""A `RunResult` in the columns of the first design and one more, and back again without loss."""

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
    """The JSON texts of a result; those of lists and figures apart, so that a list of runs needs none of the rest."""

    metrics: str
    endpoint_metrics: str
    samples: str
    rest: str
    """Everything else but the spec, which the run has already."""


def split(result: RunResult) -> ResultDocuments:
    """The documents of a result."""
    # By way of the text: only there +∞ is the string that it is everywhere else.
    document = json.loads(result.model_dump_json())
    document.pop("spec")
    metrics = document.pop("metrics")
    endpoint_metrics = document.pop("endpoint_metrics")
    samples = document.pop("samples")
    return ResultDocuments(dumps(metrics), dumps(endpoint_metrics), dumps(samples), dumps(document))


def join(documents: ResultDocuments, spec: Mapping[str, Any], run_id: str) -> RunResult:
    """The result that `split` took apart. Raises CorruptDataError where the documents are something else."""
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
    """A result as it was stored, by this version or another one: fields that are not known here are left out.

    Raises pydantic.ValidationError.
    """
    return RunResult.model_validate(document, extra="ignore")


def stored_sample(document: Any) -> SampledExchange:
    """The same of a sample."""
    return SampledExchange.model_validate(document, extra="ignore")


def samples_to_text(samples: Sequence[SampledExchange]) -> list[str]:
    """A JSON object for each sample."""
    return [sample.model_dump_json() for sample in samples]


def samples_from_text(text: str, run_id: str) -> list[SampledExchange]:
    """A JSON array of samples. Raises CorruptDataError."""
    try:
        return _SAMPLES.validate_json(text, extra="ignore")
    except ValidationError as error:
        raise corrupt(f"the samples of run {run_id}", error) from error


def dumps(value: Any) -> str:
    """JSON without spaces, text kept as text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
