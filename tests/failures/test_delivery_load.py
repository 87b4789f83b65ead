"""A storm of alerts to endpoints of which some fail, while workers are killed: each is told at least once, under one
id, in order, or given up loudly.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.failures.delivery_load import ROOT, DeliveryLoad, Load

SMALL = Load(
    alerts=300,
    over_s=3,
    endpoints={"healthy": 6, "times out": 1, "answers 500": 1, "answers 429": 1, "flaps": 1},
    waits_s=(0, 0.5, 1),
    patience_s=30,
    answer_within_s=3,
    workers=2,
    kill_every_s=3,
    end_within_s=120,
)
FULL = Load(
    alerts=10_000,
    over_s=60,
    endpoints={"healthy": 30, "times out": 5, "answers 500": 5, "answers 429": 5, "flaps": 5},
    waits_s=(0, 2, 5, 10, 20),
    patience_s=60,
    answer_within_s=4,
    workers=2,
    kill_every_s=8,
    end_within_s=240,
)


async def test_a_storm_while_workers_are_killed_ends_with_everybody_told_or_loudly_not(
    postgres_url: str, tmp_path: Path
) -> None:
    figures = await DeliveryLoad(SMALL, postgres_url, tmp_path, seed=1).run()
    check(figures)


@pytest.mark.soak
@pytest.mark.timeout(400)
async def test_ten_thousand_alerts_in_a_minute_to_fifty_endpoints(postgres_url: str, tmp_path: Path) -> None:
    figures = await DeliveryLoad(FULL, postgres_url, tmp_path, seed=2).run()
    measured = ROOT / "docs" / "measurements" / "soak_delivery.json"
    measured.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    check(figures)


def check(figures: dict[str, Any]) -> None:
    assert figures["first_problems"] == []
    assert figures["workers_killed"] > 0
    given_up = sum(each["given_up"] for each in figures["by_behaviour"].values())
    # A worker may be killed between the commit and its line.
    assert given_up - figures["workers_killed"] * 256 <= figures["given_up_in_the_log"] <= given_up
    assert figures["by_behaviour"]["answers 500"]["delivered"] == 0
    assert figures["by_behaviour"]["flaps"]["delivered"] > 0
