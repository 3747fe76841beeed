"""Import FastAPI without building its models of OpenAPI documents, which only the description of the API uses."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

_config = BaseModel.model_config
# Models inherit it where they are defined.
BaseModel.model_config = ConfigDict(defer_build=True)
try:
    import fastapi.openapi.models  # noqa: F401
finally:
    BaseModel.model_config = _config
