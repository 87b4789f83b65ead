"""What does a rulebook say of one kind of pump? Its limits, priorities and switches, as they are kept for later.

Nothing else of the rulebook decides what the fold finds and what becomes of it: where two of these are equal, so are
the verdicts. They are stored, so that what is folded again is folded as it was then.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec

from service.core.change import Change, Condition, Priority, Ruled, Standing
from service.core.limits import LIMITS
from service.core.override import Whose
from service.core.priorities import PRIORITIES, Ladder
from service.core.reading import Items
from service.core.rulebook import FACTS, PumpFacts, Rulebook

_DEFAULTS: Final = {
    f"{section}_{name}": limit.default for section, limits in LIMITS.items() for name, limit in limits.items()
}


@dataclass(frozen=True)
class PumpRules:
    limits: Mapping[str, float]
    ladders: Mapping[Condition, Ladder]
    standings: Mapping[Condition, Standing]
    """Of those conditions that are not told."""

    @cached_property
    def body(self) -> str:
        """As it is stored."""
        kept = {"limits": self.limits, "ladders": self.ladders, "standings": self.standings}
        return msgspec.json.encode(kept, order="sorted").decode()

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.body.encode()).hexdigest()[:32]

    def standing(self, condition: Condition) -> Standing:
        return self.standings.get(condition, Standing.TOLD)

    def ruled(self, change: Change, rulebook_version: str) -> Ruled:
        ladder = self.ladders[change.condition]
        return Ruled(rulebook_version, ladder[min(change.step, len(ladder)) - 1], self.standing(change.condition))


class Term(NamedTuple):
    """By what one pump is judged after a position: -1 is before its first."""

    after: int
    rulebook_version: str
    rules: PumpRules
    facts: tuple[float, ...]  # in the order of FACTS

    def fill(self, row: Items) -> None:
        """Make a row of LIMITS_ROW say the same."""
        for name, value in self.rules.limits.items():
            row[name] = value
        for name, value in zip(FACTS, self.facts, strict=False):
            row[name] = value
        for name in FACTS[len(self.facts) :]:  # that nobody knew of then
            row[name] = PumpFacts._field_defaults[name]


def rules_for(rulebook: Rulebook, whose: Whose) -> PumpRules:
    return PumpRules(
        {
            f"{section}_{name}": rulebook.limit(section, name, whose.drug_class, site=whose.site, pump_id=whose.pump_id)
            for section, limits in LIMITS.items()
            for name in limits
        },
        {condition: rulebook.ladder(condition, whose) for condition in Condition},
        {
            condition: standing
            for condition in Condition
            if (standing := rulebook.standing(condition, whose)) is not Standing.TOLD
        },
    )


def read_rules(body: str) -> PumpRules:
    """Read what was stored. What did not exist then is as it is by default; what no longer exists is left out."""
    kept: dict[str, Any] = msgspec.json.decode(body)
    ladders = {str(name): tuple(map(Priority, words)) for name, words in kept["ladders"].items()}
    return PumpRules(
        {name: kept["limits"].get(name, default) for name, default in _DEFAULTS.items()},
        {
            condition: ladders[condition] if len(ladders.get(condition, ())) == len(usual) else usual
            for condition, usual in PRIORITIES.items()
        },
        {Condition(name): Standing(word) for name, word in kept["standings"].items() if name in set(Condition)},
    )
