"""What the commands' tests ask for."""

from functools import partial

import pytest

from tests.commands.program import Pumpwatch
from tests.commands.program import pumpwatch as run
from tests.forks import Forks


@pytest.fixture
def pumpwatch(postgres_url: str, forks: Forks) -> Pumpwatch:
    """The program, with a migrated database of the test's own."""
    return partial(run, forks, postgres_url)
