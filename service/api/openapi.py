"""What does the API promise? Its OpenAPI document, with the schemas that FastAPI cannot see by itself."""

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api import once
from service.api.problems import ProblemDetails, answers
from service.core.registry import RegistryEntry

_REFERENCE = "#/components/schemas/{name}"
_WITHOUT_ACCOUNT = frozenset({"/api/v1/session"})


def describe(app: FastAPI) -> dict[str, Any]:
    """Made once; every later call returns the same."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        schemas = document["components"]["schemas"]
        _, entry = msgspec.json.schema_components([RegistryEntry], ref_template=_REFERENCE)
        entry[RegistryEntry.__name__]["required"].remove("pump_id")  # the path says it
        problem = ProblemDetails.model_json_schema(ref_template=_REFERENCE.format(name="{model}"))
        schemas |= {**entry, **problem.pop("$defs"), "ProblemDetails": problem}
        _take_keys(document)
        # FastAPI's own form of an error: nothing answers in it here.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def _take_keys(document: dict[str, Any]) -> None:
    """Every POST below /api/v1 that needs an account takes an Idempotency-Key."""
    of_keys = answers(HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
    for path, operations in document["paths"].items():
        if path.startswith("/api/v1/") and path not in _WITHOUT_ACCOUNT and "post" in operations:
            once.describe(operations["post"], of_keys)
