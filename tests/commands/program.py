"""`pumpwatch` as a person runs it: a process of its own."""

from collections.abc import Callable

from service.settings import inherited_environment
from tests.forks import Ended, Forks
from tests.keys import ENVIRONMENT

Pumpwatch = Callable[..., Ended]


def pumpwatch(forks: Forks, database_url: str, *arguments: object) -> Ended:
    environment = inherited_environment() | ENVIRONMENT | {"PUMPWATCH_DATABASE_URL": database_url}
    return forks.run(*arguments, environment=environment)
