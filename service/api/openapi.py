"""What does the API promise? Its OpenAPI document, with the schemas that FastAPI cannot see by itself."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.problems import ProblemDetails
from service.core.registry import RegistryEntry

_REFERENCE = "#/components/schemas/{name}"


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
        # FastAPI's own form of an error: nothing answers in it here.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema
