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
        _give_examples(document)
        # FastAPI's own form of an error: nothing answers in it here.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def _give_examples(document: dict[str, Any]) -> None:
    """To every body that has none as a whole: that of its schema, or one made of the examples of its fields."""
    schemas = document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None or {"example", "examples"} & set(content):
                continue
            schema = _resolved(content["schema"], schemas)
            fields = {name: _example(field, schemas) for name, field in schema.get("properties", {}).items()}
            made = {name: found for name, found in fields.items() if found is not None}
            content["example"] = schema["examples"][0] if "examples" in schema else made


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Of alternatives the first: the others are null."""
    first = schema.get("anyOf", schema.get("allOf", [schema]))[0]
    found: dict[str, Any] = schemas[first["$ref"].rpartition("/")[2]] if "$ref" in first else first
    return found


def _example(field: dict[str, Any], schemas: dict[str, Any]) -> Any:
    if "examples" in field:
        return field["examples"][0]
    values = _resolved(field, schemas).get("enum")
    return values[0] if values and "default" not in field else None


def _take_keys(document: dict[str, Any]) -> None:
    """Every POST below /api/v1 that needs an account takes an Idempotency-Key."""
    of_keys = answers(HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
    for path, operations in document["paths"].items():
        if path.startswith("/api/v1/") and path not in _WITHOUT_ACCOUNT and "post" in operations:
            once.describe(operations["post"], of_keys)
