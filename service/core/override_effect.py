"""What does a value in place of the default change for the person who watches? Less, more, or only otherwise."""

from collections.abc import Sequence
from enum import StrEnum

from service.core.change import Priority
from service.core.override import ENABLED, SHADOW, Value
from service.core.strictness import loosens


class Effect(StrEnum):
    NONE = "as by default"
    SILENT = "nobody is told"
    LESS = "watched less closely"
    MORE = "watched more closely"
    LESS_URGENT = "told as less urgent"
    MORE_URGENT = "told as more urgent"


def effect_of(key: str, value: Value, default: Value) -> Effect:
    """Of one limit, switch or priority; `default` is that of whom it is for."""
    if value == default:
        return Effect.NONE
    if key in (ENABLED, SHADOW):
        return Effect.SILENT if value is (key == SHADOW) else Effect.MORE
    if isinstance(value, tuple) and isinstance(default, tuple):
        return _of_ladders(value, default)
    return Effect.LESS if loosens(key, float(value), float(default)) else Effect.MORE  # type: ignore[arg-type]


def _of_ladders(value: Sequence[Priority], default: Sequence[Priority]) -> Effect:
    """A step that is told as less urgent weighs more than one that is told as more urgent."""
    less = any(word.rank < before.rank for word, before in zip(value, default, strict=True))
    return Effect.LESS_URGENT if less else Effect.MORE_URGENT
