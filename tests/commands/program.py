"""`pumpwatch` as a person runs it: a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

from tests.keys import ENVIRONMENT

PATIENCE_S = 180


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Pumpwatch = Callable[..., Ended]


def pumpwatch(database_url: str, *arguments: object) -> Ended:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PUMPWATCH_")}
    ended = subprocess.run(
        [sys.executable, "-m", "service", *map(str, arguments)],
        env=environment | ENVIRONMENT | {"PUMPWATCH_DATABASE_URL": database_url},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
