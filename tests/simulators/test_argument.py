"""What is given on the command line is understood as people write it, or refused with what would be right."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

import pytest

from simulators import argument
from simulators.blocks import Shard


@pytest.mark.parametrize(
    ("of", "text", "value"),
    [
        (argument.span_ms, "90s", 90_000),
        (argument.span_ms, "45m", 2_700_000),
        (argument.span_ms, "1.5h", 5_400_000),
        (argument.span_ms, "2d", 172_800_000),
        (argument.shard, "2/3", Shard(2, 3)),
        (argument.connections, "pump", "pump"),
        (argument.connections, "site", "site"),
        (argument.connections, "12", 12),
        (argument.number, "-2.5", -2.5),
    ],
)
def test_it_is_understood(of: Callable[[str], Any], text: str, value: object) -> None:
    assert of(text) == value


@pytest.mark.parametrize(
    ("of", "text", "said"),
    [
        (argument.span_ms, "2", "90s, 45m, 2h, 3d"),
        (argument.span_ms, "0h", "90s, 45m, 2h, 3d"),
        (argument.span_ms, "-1h", "90s, 45m, 2h, 3d"),
        (argument.shard, "3/2", "K/N"),
        (argument.shard, "0/2", "K/N"),
        (argument.shard, "1", "K/N"),
        (argument.connections, "0", "a number from 1"),
        (argument.connections, "many", "a number from 1"),
        (argument.number, "nan", "a number from"),
        (argument.whole, "-1", "a number from 0"),
        (argument.broker, "127.0.0.1", "mqtt://"),
    ],
)
def test_it_is_refused_with_what_would_be_right(of: Callable[[str], Any], text: str, said: str) -> None:
    with pytest.raises(ArgumentTypeError, match=said):
        of(text)
