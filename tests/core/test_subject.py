"""What an alert is about, by name."""

from service.core.alert import alert_id
from service.core.change import Condition
from service.core.subject import is_site, pump_subject, service_subject, site_of, site_subject


def test_a_subject_says_of_which_kind_it_is() -> None:
    assert [pump_subject("p1"), site_subject("north: a"), service_subject("shard-0")] == [
        "pump:p1",
        "site:north: a",
        "service:shard-0",
    ]
    assert [is_site(name) for name in ("pump:p1", "site:p1", "service:p1")] == [False, True, False]
    assert site_of("site:north: a") == "north: a"


def test_subjects_of_one_name_have_alerts_of_their_own() -> None:
    ids = {alert_id(f"{kind}:p1", Condition.SILENCE, 7) for kind in ("pump", "site", "service")}
    assert len(ids) == 3
