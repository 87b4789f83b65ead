"""Which loads are there? Each a few stages with an end: how often pumps report, and what happens when one begins."""

from typing import Final, NamedTuple

PROFILES: Final = {
    "hold": "every pump, at its interval",
    "ramp": "pumps join one after the other, then all stay",
    "spike": "in the middle third pumps report --factor times as often",
    "storm": "after the first third every connection is lost at once, and again after the second",
    "burst": "--backlog-hours of readings at once, then live",
}


class Stage(NamedTuple):
    """Part of the live time of a fleet."""

    name: str
    lasts_s: float
    faster: float = 1.0  # readings come so many times as often
    joins: bool = False  # pumps come in one block after the other
    drops: bool = False  # it begins with the loss of every connection


def stages_of(profile: str, for_s: float, factor: float) -> tuple[Stage, ...]:
    """The stages of a profile that lasts `for_s` in all."""
    third_s = for_s / 3
    match profile:
        case "ramp":
            return Stage("ramp", 2 * third_s, joins=True), Stage("hold", third_s)
        case "spike":
            return Stage("hold", third_s), Stage("spike", third_s, faster=factor), Stage("after", third_s)
        case "storm":
            return Stage("hold", third_s), Stage("storm", third_s, drops=True), Stage("again", third_s, drops=True)
    return (Stage("hold", for_s),)
