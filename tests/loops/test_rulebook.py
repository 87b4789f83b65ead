"""The file is followed: what is sound takes effect once it stands still, what is not is told and counted."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.core.override import Override, Scope
from service.core.rulebook import DEFAULT_RULEBOOK
from service.loops.rulebook import RulebookSource
from service.metrics import Metrics
from tests.pumps import NOON_MS

NOON = datetime.fromtimestamp(NOON_MS / 1000, UTC)


async def nothing() -> Sequence[Override]:
    return ()


async def test_a_changed_file_is_taken_once_it_stands_still(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[stall]\nmissed_ul = 8\n")
    source = RulebookSource(file, nothing)
    first = await source.look(NOON)
    assert first.limit("stall", "missed_ul") == 8
    assert await source.look(NOON) is first
    file.write_text("[stall]\nmissed_ul = 9\n")
    assert await source.look(NOON) is first, "it may be half written"
    assert (await source.look(NOON)).limit("stall", "missed_ul") == 9
    file.write_text("# the same\nstall.missed_ul = 9.0\n")
    await source.look(NOON)
    assert (await source.look(NOON)).limit("stall", "missed_ul") == 9


async def test_a_file_with_mistakes_or_none_at_all_is_told_and_counted_once_and_the_one_before_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[stall]\nmissed_ul = 8\n")
    metrics = Metrics(CollectorRegistry())
    source = RulebookSource(file, nothing, metrics)
    first = await source.look(NOON)
    file.write_text("[stall]\nmissed_ul = 800\nfor_s = 'x'\n")
    for _ in range(4):
        assert await source.look(NOON) is first
    assert [problem.line for problem in source.problems] == [2, 3]
    told = [record.fields["at"] for record in caplog.records if record.message == "rulebook_refused"]
    assert told == [f"{file}:2", f"{file}:3"]
    file.unlink()
    for _ in range(4):
        assert await source.look(NOON) is first
    assert source.problems[0].message == "No such file or directory"
    assert metrics.registry.get_sample_value("pumpwatch_rulebooks_refused_total") == 2
    file.write_text("[stall]\nmissed_ul = 8\n")
    for _ in range(2):
        assert (await source.look(NOON)).version == first.version
    assert source.problems == []


async def test_what_people_have_set_is_joined_until_it_expires(tmp_path: Path) -> None:
    over = Override(Scope.PUMP, "p", "stall", "missed_ul", 4.0, "x", "y", NOON_MS + 1_000, number=1)

    async def overrides() -> Sequence[Override]:
        return [over]

    source = RulebookSource(None, overrides)
    assert (await source.look(NOON)).limit("stall", "missed_ul", pump_id="p") == 4
    assert await source.look(datetime.fromtimestamp(NOON_MS / 1000 + 1, UTC)) == DEFAULT_RULEBOOK
