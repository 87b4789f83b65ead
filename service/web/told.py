"""What is a person told whose wish could not be done? In their words where the page is, not in a log alone."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import pydantic
from nicegui import ui

from service.api.problems import FieldError, Problem, database_reason, wrong_fields

_OURS: Final = "this is a fault of ours; it has been logged"


def problem_of(error: Exception) -> Problem | None:
    """What to tell of it; None: it is a fault of ours."""
    match error:
        case Problem():
            return error
        case pydantic.ValidationError():
            found = [(".".join(str(part) for part in each["loc"]) or "form", each["msg"]) for each in error.errors()]
            return wrong_fields([FieldError(place="body", field=field, detail=what) for field, what in found])
    if reason := database_reason(error):
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not at the moment: {reason}. Try again in some seconds")
    return None


@contextmanager
def told(tell: Callable[[Problem], object]) -> Iterator[None]:
    """What goes wrong within it is told; a fault of ours is raised as well, so that it is logged."""
    try:
        yield
    except Exception as error:
        problem = problem_of(error)
        tell(problem or Problem(HTTPStatus.INTERNAL_SERVER_ERROR, _OURS))
        if problem is None:
            raise


def notify(problem: Problem) -> None:
    ui.notify(problem.detail, type="warning", close_button="Close", timeout=0)


async def tried(what: Awaitable[object], done: str = "") -> Problem | None:
    """Do what a person asked for; say that it is done, or why it could not be, which is also returned."""
    found: list[Problem] = []

    def tell(problem: Problem) -> None:
        found.append(problem)
        notify(problem)

    with told(tell):
        await what
        if done:
            ui.notify(done, type="positive")
    return found[0] if found else None


def is_for_now(problem: Problem | None) -> bool:
    """Whether the same may well be done if it is asked for again soon."""
    return problem is not None and problem.status is HTTPStatus.SERVICE_UNAVAILABLE
