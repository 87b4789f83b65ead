"""The fleet, counted: exactly what each pump by itself would say, added up."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product

from service.core.census import Alike, State, census
from service.core.change import Condition
from service.core.verdicts import Known, Verdict, verdicts_of

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


def groups() -> list[Alike]:
    """Of every kind, of one to four pumps each."""
    heard = ((False, False, None), (True, True, NOW - timedelta(minutes=1)), (True, False, NOW - timedelta(days=2)))
    choices = product(
        *(("rotor", "sensor"), ("computed", "sensor"), (True, False), (True, False), heard, (True, False)),
        ({}, {"stall": "holds"}, {"reservoir_low": "holds", "stall": "unknown"}),
    )
    return [
        Alike(
            pumps=1 + number % 4,
            site="north" if number % 3 else None,
            flow_channel=flow,
            reservoir_channel=reservoir,
            bolus_cap=cap,
            programmed=programmed,
            registered=number % 5 > 0,
            in_service=number % 7 > 0,
            ever_heard=ever_heard,
            heard=is_heard,
            silent=silent,
            written=written,
            longest_unheard_at=last,
        )
        for number, (flow, reservoir, cap, programmed, (ever_heard, is_heard, last), silent, written) in enumerate(
            choices
        )
    ]


def test_the_census_is_the_sum_of_what_each_pump_says() -> None:
    fleet = groups()
    found = census(fleet, NOW)
    expected: dict[Condition, Counter[Verdict]] = {}
    for group in fleet:
        said = verdicts_of(
            {condition: Known(Verdict(verdict)) for condition, verdict in group.written.items()},
            flow_channel=group.flow_channel,
            reservoir_channel=group.reservoir_channel,
            bolus_cap=group.bolus_cap,
            programmed=group.programmed,
            registered=group.registered,
            silent_since=NOW if group.silent else None,
            heard=group.heard,
        )
        for condition, known in said.items():
            expected.setdefault(condition, Counter())[known.verdict] += group.pumps
    assert found.verdicts == expected
    assert found.pumps == sum(group.pumps for group in fleet) == sum(found.states.values())
    assert found.registered == sum(group.pumps for group in fleet if group.registered)
    assert sum(site.pumps for site in found.sites.values()) == found.pumps
    holding = sum(group.pumps for group in fleet if "holds" in group.written.values())
    assert sum(site.holding for site in found.sites.values()) == holding


def test_every_pump_is_in_the_state_that_is_seen_first() -> None:
    base = groups()[0]._replace(pumps=3, in_service=True, silent=False, ever_heard=True, heard=False)
    states = {
        State.OUT_OF_SERVICE: base._replace(in_service=False, silent=True),
        State.SILENT: base._replace(silent=True),
        State.NEVER_HEARD: base._replace(ever_heard=False),
        State.OVERDUE: base._replace(longest_unheard_at=NOW - timedelta(days=1)),
        State.HEARD: base._replace(heard=True, longest_unheard_at=NOW),
    }
    for state, group in states.items():
        assert census([group], NOW).states == {state: 3}
    assert census(states.values(), NOW).longest_unheard_at == NOW - timedelta(days=1)
