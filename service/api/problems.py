"""How is a caller told what went wrong? RFC 9457 problem+json, which names the field where one is to blame."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import asyncpg
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from service.postgres.outage import OUTAGES

MEDIA_TYPE: Final = "application/problem+json"
_NOT_PARSED: Final = "There was an error parsing the body"  # FastAPI's words


class FieldError(BaseModel):
    """One field that is to blame; `place` is path, query, header or body."""

    place: str
    field: str
    detail: str


class ProblemDetails(BaseModel):
    """What every error answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Entity",
                    "status": 422,
                    "detail": "limit: must be at most 1000",
                    "errors": [{"place": "query", "field": "limit", "detail": "must be at most 1000"}],
                }
            ]
        }
    )
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class Problem(Exception):  # noqa: N818 - the RFC's word
    """Raised where a request cannot be answered as asked; becomes the response."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, list(errors), headers

    def response(self) -> Response:
        body = ProblemDetails(
            title=self.status.phrase, status=self.status, detail=self.detail, errors=self.errors or None
        )
        content = body.model_dump_json(exclude_none=True)
        return Response(content, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def wrong_field(place: str, field: str, detail: str) -> Problem:
    return wrong_fields([FieldError(place=place, field=field, detail=detail)])


def wrong_fields(errors: Sequence[FieldError]) -> Problem:
    detail = "; ".join(f"{error.field}: {error.detail}" for error in errors)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


def not_found(what: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"there is no {what}")


def problem_of(error: Exception) -> Problem:
    """What to answer to any exception that ended a request: 503 where the database failed, 500 where we did."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return wrong_fields([_field_error(found) for found in error.errors()])
        case HTTPException(detail=detail) if detail == _NOT_PARSED:
            return wrong_field("body", "body", "must be JSON in UTF-8, without lone surrogates")
        case HTTPException():
            return Problem(HTTPStatus(error.status_code), str(error.detail), headers=error.headers)
    if reason := database_reason(error):
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, headers={"Retry-After": "2"})
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a fault of ours; it has been logged")


_REASONS: Final[dict[type[Exception], str]] = {
    asyncpg.UndefinedTableError: "the schema is older than this version; run `pumpwatch migrate`",
    asyncpg.UndefinedColumnError: "the schema is older than this version; run `pumpwatch migrate`",
    asyncpg.InvalidAuthorizationSpecificationError: "it refuses our user or password",
    asyncpg.InsufficientPrivilegeError: "it does not let our user do that (deploy/postgres/roles.sql)",
    asyncpg.InvalidCatalogNameError: "there is none of this name on the server",
    asyncpg.QueryCanceledError: "the answer took longer than it may; ask for less, or look for what slows the database",
    asyncpg.LockNotAvailableError: "what is asked for is being changed; try again",
    asyncpg.DiskFullError: "its disk is full",
    asyncpg.OutOfMemoryError: "it has no memory left",
    asyncpg.TooManyConnectionsError: "it lets no more connections in",
    TimeoutError: "it does not answer in time, or all our connections to it are in use",
}


def database_reason(error: Exception) -> str:
    """Say why the database cannot be asked, without its address; empty if that is not what happened."""
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return f"database: {reason}"
    # asyncpg says InterfaceError also of arguments that it cannot encode, which is our fault.
    if isinstance(error, OUTAGES) and not isinstance(error, ValueError):
        return f"database: unreachable ({type(error).__name__})"
    return ""


_RETRY_AFTER: Final = {"Retry-After": {"description": "In how many seconds.", "schema": {"type": "integer"}}}


def answers(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer, for its documentation."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    found: dict[int | str, dict[str, Any]] = {
        int(status): {"description": status.phrase, "content": content} for status in statuses
    }
    if HTTPStatus.TOO_MANY_REQUESTS in found:
        found[HTTPStatus.TOO_MANY_REQUESTS]["headers"] = _RETRY_AFTER
    return found


def _field_error(found: Mapping[str, Any]) -> FieldError:
    place, *path = found["loc"]
    if found["type"] == "json_invalid":
        return FieldError(place="body", field="body", detail=f"not JSON, from character {path[0]}")
    return FieldError(place=str(place), field=".".join(map(str, path)) or str(place), detail=str(found["msg"]))
