"""Split a `RunResult` into the JSON documents that are stored, and join them again without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from atm.dataclass import dataclass
from atm.models.run import RunResult
from atm.models.samples import SampledExchange, SampledIteration
from atm.storage.errors import corrupt

StoredSample = SampledExchange | SampledIteration
"""Requests and iterations are stored in one list."""


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
    samples = [*document.pop("samples"), *document.pop("sampled_iterations", ())]
    return ResultDocuments(dumps(metrics), dumps(endpoint_metrics), dumps(samples), dumps(document))


def join(documents: ResultDocuments, spec: Mapping[str, Any], run_id: str) -> RunResult:
    """Join the documents of `split`. Raises CorruptDataError for invalid documents."""
    try:
        document = json.loads(documents.rest)
        document["metrics"] = json.loads(documents.metrics)
        document["endpoint_metrics"] = json.loads(documents.endpoint_metrics)
        samples = json.loads(documents.samples)
        document["samples"] = [sample for sample in samples if not _is_iteration(sample)]
        document["sampled_iterations"] = [sample for sample in samples if _is_iteration(sample)]
        document["spec"] = dict(spec)
        return stored_result(document)
    except (ValueError, TypeError) as error:
        raise corrupt(f"the result of run {run_id}", error) from error


def stored_result(document: Any) -> RunResult:
    """Return a stored result, ignoring unknown fields of other versions. Raises pydantic.ValidationError."""
    return RunResult.model_validate(document, extra="ignore")


def stored_sample(document: Any) -> StoredSample:
    """Return a stored sample; otherwise as `stored_result`."""
    kind = SampledIteration if _is_iteration(document) else SampledExchange
    return kind.model_validate(document, extra="ignore")


def samples_to_text(samples: Sequence[StoredSample]) -> list[str]:
    """Return a JSON object for each sample."""
    return [sample.model_dump_json() for sample in samples]


def exchanges_from_text(text: str, run_id: str) -> list[SampledExchange]:
    """Parse the requests in a JSON array of samples. Raises CorruptDataError."""
    return [sample for sample in _samples_from_text(text, run_id) if isinstance(sample, SampledExchange)]


def iterations_from_text(text: str, run_id: str) -> list[SampledIteration]:
    """Parse the iterations in a JSON array of samples. Raises CorruptDataError."""
    return [sample for sample in _samples_from_text(text, run_id) if isinstance(sample, SampledIteration)]


def _samples_from_text(text: str, run_id: str) -> list[StoredSample]:
    try:
        return [stored_sample(document) for document in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise corrupt(f"the samples of run {run_id}", error) from error


def _is_iteration(document: Any) -> bool:
    return isinstance(document, dict) and "steps" in document


def dumps(value: Any) -> str:
    """Return compact JSON, without escaping non-ASCII text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
