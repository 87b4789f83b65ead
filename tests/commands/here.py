"""`pumpwatch` within this process, where what matters is what a command says: a process each would take seconds."""

import asyncio
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from service.cli import main
from tests.forks import Ended


def ran(*arguments: object) -> Ended:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Ended(code, out.getvalue(), err.getvalue())


async def ran_beside(*arguments: object) -> Ended:
    """The same, from a test that has a loop of its own."""
    return await asyncio.to_thread(ran, *arguments)
