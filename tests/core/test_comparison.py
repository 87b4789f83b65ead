"""Two rulebooks side by side: what both find, what only one does, and how much sooner."""

from service.core.backtest import Finding
from service.core.change import Condition, Priority
from service.core.comparison import compare

HOUR_MS = 3_600_000


def found(pump_id: str, at_h: float, condition: Condition = Condition.STALL, *, inhibited: bool = False) -> Finding:
    at_ms = round(at_h * HOUR_MS)
    return Finding(pump_id, condition, Priority.HIGH, at_ms, at_ms, at_ms, 1, inhibited=inhibited)


def test_what_both_find_is_paired_with_the_nearest_and_the_rest_is_one_sided() -> None:
    this = [found("a", 10), found("a", 12), found("b", 5), found("c", 1, Condition.SILENCE, inhibited=True)]
    other = [found("a", 12.5), found("a", 10.25), found("b", 50), found("d", 7, Condition.OVER_DELIVERY)]
    compared = compare(this, other)
    rows = {row.condition: row for row in compared.conditions}
    stall = rows["stall"]
    assert (stall.this, stall.other, stall.only_this, stall.only_other) == (3, 3, 1, 1)
    assert stall.sooner_by_s == 1350
    assert (rows["over_delivery"].only_other, rows["over_delivery"].sooner_by_s) == (1, None)
    assert "silence" not in rows
    assert [finding.pump_id for finding in compared.only_this] == ["b"]
    assert [finding.pump_id for finding in compared.only_other] == ["d", "b"]
