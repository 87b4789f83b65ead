"""Has somebody else changed it meanwhile? `If-Match` names the version that is replaced, and ETag the one it became."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Header, Response

from service.api.problems import Problem

IfMatch = Annotated[
    str | None,
    Header(description='The version that is to be replaced: `"3"`; `*`: any, but there must be one.', max_length=400),
]
_OVERTAKEN: Final = "the stored version is {stored}, not {given}: somebody else has changed it; read it again"


def tag(response: Response, version: int) -> None:
    response.headers["ETag"] = f'"{version}"'


def check(if_match: str | None, stored: int | None, what: str, by: str = "") -> None:
    """Raise Problem (412) unless `stored`, None where there is nothing yet, is what `If-Match` names.

    `by`: what made it what it is, and who.
    """
    if if_match is None or (if_match.strip() == "*" and stored is not None):
        return
    if stored is None:
        if '"0"' in if_match:
            return
        raise Problem(HTTPStatus.PRECONDITION_FAILED, f"there is no such {what} yet; leave If-Match out to enter it")
    if str(stored) not in {part.strip().removeprefix("W/").strip('"') for part in if_match.split(",")}:
        overtaken = _OVERTAKEN.format(stored=stored, given=if_match)
        raise Problem(HTTPStatus.PRECONDITION_FAILED, f"{overtaken} ({by})" if by else overtaken)
