"""The fleet, counted: exactly what each pump by itself would say, added up."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product

from service.core.census import Counted, State, census
from service.core.change import Condition
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.verdicts import Known, Verdict, verdicts_of

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


def pumps() -> list[Counted]:
    heard = (None, NOW - timedelta(minutes=1), NOW - timedelta(days=2))
    choices = product(
        *(("rotor", "sensor"), ("computed", "sensor"), (True, False), (True, False), heard, (None, NOW)),
        ({}, {"stall": "holds"}, {"reservoir_low": "holds", "stall": "unknown"}),
    )
    return [
        Counted(
            pump_id=f"p{number}",
            site="north" if number % 3 else None,
            drug_class="baclofen",
            interval_s=60.0,
            flow_channel=flow,
            reservoir_channel=reservoir,
            bolus_cap=cap,
            programmed=programmed,
            registered=number % 5 > 0,
            in_service=number % 7 > 0,
            last_heard_at=last,
            silent_since=silent,
            written=written,
        )
        for number, (flow, reservoir, cap, programmed, last, silent, written) in enumerate(choices)
    ]


def test_the_census_is_the_sum_of_what_each_pump_says() -> None:
    fleet = pumps()
    found = census(fleet, DEFAULT_RULEBOOK, NOW)
    expected: dict[Condition, Counter[Verdict]] = {}
    for pump in fleet:
        said = verdicts_of(
            {condition: Known(Verdict(verdict)) for condition, verdict in pump.written.items()},
            flow_channel=pump.flow_channel,
            reservoir_channel=pump.reservoir_channel,
            bolus_cap=pump.bolus_cap,
            programmed=pump.programmed,
            registered=pump.registered,
            silent_since=pump.silent_since,
            last_heard_at=pump.last_heard_at,
            silence_after_s=DEFAULT_RULEBOOK.silence_after_s(60.0, "baclofen", site=pump.site, pump_id=pump.pump_id),
            now=NOW,
        )
        for condition, known in said.items():
            expected.setdefault(condition, Counter())[known.verdict] += 1
    assert found.verdicts == expected
    assert found.pumps == len(fleet) == sum(found.states.values())
    assert sum(site.pumps for site in found.sites.values()) == len(fleet)


def test_every_pump_is_in_the_state_that_is_seen_first() -> None:
    base = pumps()[0]._replace(in_service=True, silent_since=None)
    states = {
        State.OUT_OF_SERVICE: base._replace(in_service=False, silent_since=NOW),
        State.SILENT: base._replace(silent_since=NOW),
        State.NEVER_HEARD: base._replace(last_heard_at=None),
        State.OVERDUE: base._replace(last_heard_at=NOW - timedelta(days=1)),
        State.HEARD: base._replace(last_heard_at=NOW),
    }
    for state, pump in states.items():
        assert census([pump], DEFAULT_RULEBOOK, NOW).states == {state: 1}
    assert census(states.values(), DEFAULT_RULEBOOK, NOW).longest_unheard_at == NOW - timedelta(days=1)
