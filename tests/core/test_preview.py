"""Who would be told, and when: asked of the rotas at the time of each call."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from service.core.change import Priority
from service.core.policy import Policy, Rule, Step
from service.core.preview import Supposed, preview
from service.core.reading import DrugClass
from service.core.roster import Contact, Roster
from service.core.rota import Rota
from service.core.routing import Route

ROSTER = Roster(
    contacts={name: Contact(name=name, endpoints=(f"{name}'s phone",)) for name in ("ada", "grace")},
    rotas={
        "night": Rota(name="night", time_zone="Europe/Rome", contacts=("ada", "grace"), begins_on=date(2026, 11, 23))
    },
    policies={
        "ward": Policy(
            name="ward",
            steps=(
                Step(after_s=0, targets=("rota:night",)),
                Step(after_s=600, targets=("rota:night", "endpoint:desk")),
            ),
        )
    },
    rules=[Rule(policy="ward", site="north")],
    zones={"Europe/Rome": ZoneInfo("Europe/Rome")},
)
ROUTES = [
    Route(UUID(int=number), accepts_simulated=False, enabled=True, name=name)
    for number, name in enumerate(["ada's phone", "grace's phone", "desk"])
]
AT = datetime(2026, 11, 30, 6, 55, tzinfo=UTC)  # five minutes before the hand-over of that Monday, local time


def supposed(site: str | None = "north", *, simulated: bool = False) -> Supposed:
    return Supposed(
        site=site, drug_class=DrugClass.OPIOID, priority=Priority.HIGH, simulated=simulated, time_zone="Europe/Rome"
    )


def test_each_call_names_who_is_on_call_by_then() -> None:
    found = preview(supposed(), ROSTER, ROUTES, AT)
    assert (found.policy, found.quiet_until) == ("ward", None)
    assert [(call.what, call.at - AT, call.endpoints) for call in found.calls[:3]] == [
        ("step 1", timedelta(0), ["ada's phone"]),
        ("step 2", timedelta(minutes=10), ["desk", "grace's phone"]),
        ("repeat", timedelta(minutes=15), ["desk", "grace's phone"]),
    ]


def test_it_says_why_everybody_would_be_told() -> None:
    assert preview(supposed("south"), ROSTER, ROUTES, AT).because == "no rule fits: everybody"
    nobody = preview(supposed(simulated=True), ROSTER, ROUTES, AT)
    assert nobody.because == "the policy ward reaches no endpoint: everybody"
    assert nobody.calls[0].endpoints == []
