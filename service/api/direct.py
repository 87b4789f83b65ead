"""How does an answer become JSON? Straight from its model, which was checked when it was made: once is enough."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel


class Direct(APIRoute):
    """A route of pages. One that is given the response to put headers into is answered as usual."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        parameters = inspect.signature(endpoint).parameters.values()
        if not any(parameter.annotation is Response for parameter in parameters):
            endpoint = _written(endpoint, options.get("status_code") or 200)
        super().__init__(path, endpoint, **options)


def _written(endpoint: Callable[..., Any], status: int) -> Callable[..., Any]:
    @wraps(endpoint)
    async def written(*args: Any, **kwargs: Any) -> Any:
        answer = await endpoint(*args, **kwargs)
        if not isinstance(answer, BaseModel):
            return answer
        return Response(answer.model_dump_json(), status, media_type="application/json")

    return written
