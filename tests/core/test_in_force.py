"""Folding again what rules changed in the middle of: the same to the bit, however it is cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from service.core.change import Change, Condition, Standing, Turn
from service.core.fleet import Fleet, PumpEntry
from service.core.in_force import Stand, fold_terms, in_force_at, switched_on
from service.core.override import Whose
from service.core.pipeline import Folded, fold_copy, publish_folded
from service.core.pump_rules import Term, read_rules, rules_for
from service.core.reading import Items
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_rulebook
from tests.pumps import SENSOR, Pumps, readings

READINGS = 240
OFF = "[over_delivery_gross]\ndecision = 0.5\n[under_delivery_gross]\nenabled = false\nreason = 'x'\n"


def rulebook(text: str) -> Rulebook:
    found = parse_rulebook(text)
    assert isinstance(found, Rulebook)
    return found


RULEBOOKS = [
    DEFAULT_RULEBOOK,
    rulebook("[stall]\nmissed_ul = 2\nfor_s = 120\n"),
    rulebook("[stall]\nmissed_ul = 50\n[priority]\nstall = ['low', 'medium']\n"),
    rulebook(OFF),
    rulebook("[under_delivery_gross]\nshadow = true\nreason = 'x'\n"),
]


class Lived:
    """A pump that took its readings in order, under rules that changed at some of its positions."""

    def __init__(self, items: Items, changes: dict[int, tuple[int, float]]) -> None:
        self.items = items
        self.fleet = Fleet(RULEBOOKS[0])
        self.entry = PumpEntry(1, "p", SENSOR)
        self.terms: list[Term] = []
        self.turns: list[Change] = []
        self.kept: dict[int, np.ndarray] = {}  # the state after so many readings
        self.fleet.add([self.entry])
        self._change(0, SENSOR.capacity_ml)
        cuts = sorted({0, *changes, len(items)})
        for first, last in pairwise(cuts):
            if first in changes:
                self._change(*changes[first])
            for at in range(first, last):
                self.kept[at] = self.fleet.state.copy()
                self._fold(items[at : at + 1])

    def _change(self, which: int, capacity_ml: float) -> None:
        self.fleet.use(RULEBOOKS[which])
        (term,) = self.fleet.due([self.entry._replace(facts=SENSOR._replace(capacity_ml=capacity_ml))])
        if not self.fleet.is_new(0, term):
            return
        if self.terms and self.terms[-1].after == term.after:
            self.terms.pop()
        self.turns += switched_on(1, self.fleet.rules[0], term, self.fleet.state[0])
        self.terms.append(term)
        self.fleet.adopt({0: term})

    def _fold(self, items: Items) -> None:
        folded = fold_copy(self.fleet, items, np.zeros(len(items), np.intp))
        publish_folded(self.fleet, folded)
        self.fleet.ledger.evaluated[folded.rows] = folded.evaluated
        self.turns += folded.changes


@st.composite
def lives(draw: st.DrawFn) -> Lived:
    spans = draw(st.lists(st.tuples(st.sampled_from((0.0, 0.3, 1.0, 1.8)), st.integers(1, 80)), min_size=3, max_size=9))
    flows = [flow for flow, minutes in spans for _ in range(minutes)][:READINGS]
    items = readings(len(flows), flow=flows)
    items["pump"] = 1
    changes = draw(
        st.dictionaries(
            st.integers(0, len(flows) - 1),
            st.tuples(st.integers(0, len(RULEBOOKS) - 1), st.sampled_from((20.0, 40.0))),
            max_size=4,
        )
    )
    return Lived(items, changes)


@settings(max_examples=25, deadline=None)
@given(lived=lives(), data=st.data())
def test_whatever_is_folded_again_from_wherever_comes_to_the_same_state_and_turns(
    lived: Lived, data: st.DataObject
) -> None:
    items = lived.items
    begin = data.draw(st.integers(0, len(items) - 1))
    again = Fleet(lived.fleet.rulebook)
    again.add([lived.entry])
    again.adopt({0: lived.terms[-1]})
    again.state = lived.kept[begin].copy()
    before = int(items["position"][begin - 1]) if begin else -1
    again.ledger.evaluated[0] = before
    turns: list[Change] = []
    cuts = data.draw(st.lists(st.integers(begin + 1, len(items)), max_size=5))
    for first, last in pairwise(sorted({begin, *cuts, len(items)})):
        folded = fold_terms(again, items[first:last], np.zeros(last - first, np.intp), {0: lived.terms})
        publish_folded(again, folded)
        turns += folded.changes
    assert again.state.tobytes() == lived.fleet.state.tobytes()
    told = [turn for turn in turns if turn.evidence]
    assert told == [turn for turn in lived.turns if turn.position > before and turn.evidence]


@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(lived=lives(), data=st.data())
def test_what_is_folded_in_slices_beside_the_live_state_tells_what_it_would_tell_at_once(
    lived: Lived, data: st.DataObject
) -> None:
    items = lived.items
    begin = data.draw(st.integers(0, len(items) - 1))
    before = int(items["position"][begin - 1]) if begin else -1
    live = lived.fleet.state.tobytes()

    def folded(first: int, last: int, stand: Stand) -> Folded:
        return fold_terms(lived.fleet, items[first:last], np.zeros(last - first, np.intp), {0: lived.terms}, {0: stand})

    start = Stand(lived.kept[begin][0].copy(), before)
    at_once = folded(begin, len(items), start)
    changes = {int(at) + 1 for term in lived.terms for at in np.flatnonzero(items["position"] == term.after)}
    cuts = changes | set(data.draw(st.lists(st.integers(begin + 1, len(items)), max_size=5)))
    stand, turns = start, list[Change]()
    for first, last in pairwise(sorted({begin, len(items)} | {cut for cut in cuts if cut > begin})):
        part = folded(first, last, stand)
        stand = Stand(part.state[0], int(part.evaluated[0]))
        turns += part.changes
    assert stand.state.tobytes() == at_once.state.tobytes()
    assert turns == at_once.changes
    assert lived.fleet.state.tobytes() == live


def test_the_item_after_a_position_is_judged_by_the_last_rules_that_began_there_or_before() -> None:
    rules = rules_for(DEFAULT_RULEBOOK, Whose())
    terms = [Term(after, str(after), rules, ()) for after in (-1, 10, 20)]
    assert [in_force_at(terms, at).after for at in (-1, 0, 9, 10, 19, 20, 99)] == [-1, -1, -1, 10, 10, 20, 20]


@pytest.mark.parametrize(
    ("before", "after", "begins"),
    [
        (Standing.OFF, Standing.TOLD, Standing.TOLD),
        (Standing.SHADOW, Standing.TOLD, Standing.TOLD),
        (Standing.OFF, Standing.SHADOW, Standing.SHADOW),
        (Standing.TOLD, Standing.SHADOW, None),
        (Standing.TOLD, Standing.OFF, None),
        (Standing.TOLD, Standing.TOLD, None),
    ],
)
def test_what_holds_already_begins_where_it_counts_more_than_before(
    before: Standing, after: Standing, begins: Standing | None
) -> None:
    pumps = Pumps()
    pumps.take(readings(240, flow=[1.0] * 60 + [0.3] * 180))
    assert ("under_delivery_gross", "began") in pumps.told
    usual = rules_for(DEFAULT_RULEBOOK, Whose())
    was, is_ = (
        read_rules(usual.body.replace('"standings":{', f'"standings":{{"under_delivery_gross":"{standing}"'))
        for standing in (before, after)
    )
    found = list(switched_on(1, was, Term(239, "v", is_, ()), pumps.state[0]))
    assert [(turn.condition, turn.turn, turn.ruled and turn.ruled.standing) for turn in found] == (
        [] if begins is None else [(Condition.UNDER_DELIVERY_GROSS, Turn.BEGAN, begins)]
    )


def test_stored_rules_are_read_back_as_they_were_and_completed_by_what_is_new() -> None:
    rules = rules_for(rulebook(OFF), Whose())
    assert read_rules(rules.body) == rules
    assert read_rules(rules.body).hash == rules.hash
    older = read_rules(
        '{"limits":{"stall_missed_ul":7.0,"gone":1},"ladders":{"stall":["low"]},"standings":{"x":"off"}}'
    )
    assert (older.limits["stall_missed_ul"], older.limits["stall_for_s"]) == (7.0, 1200.0)
    assert older.ladders == rules_for(DEFAULT_RULEBOOK, Whose()).ladders
    assert not older.standings
