"""`pumpwatch rules` on files and on what is in force."""

from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from service.core.override import Override
from service.core.rulebook import Rulebook, parse_rulebook
from service.core.rulebook_check import read_one
from service.postgres.overrides import open_overrides, set_override
from service.postgres.rulebooks import enter_into_force
from tests.commands.here import ran, ran_beside

REGISTRY = """\
pump_id,site,flow_channel,reservoir_channel,capacity_ml,drug_class,interval_s,time_zone,model,drug,concentration_ug_ml,\
next_refill_on,in_service,simulated
p1,north,sensor,sensor,20,baclofen,60,UTC,m,d,,,true,true
"""
TEXT = """\
[stall]
missed_ul = 10
[drug_class.baclofen.stall]
for_s = 600
[site.south.stall]
for_s = { value = 300, reason = "trial", author = "Dr. A", expires = 2099-12-31 }
"""


def test_what_is_odd_is_a_warning_and_with_strict_a_problem(tmp_path: Path) -> None:
    file, registry = tmp_path / "r.toml", tmp_path / "pumps.csv"
    file.write_text(TEXT)
    registry.write_text(REGISTRY)
    found = ran("rules", "check", file, "--registry", registry)
    assert found.code == 0
    assert found.err == (
        f"{file}:2: warning: stall.missed_ul: is 10 without this, too\n"
        f"{file}:5: warning: site.south: the registry knows no such site\n"
    )
    assert "2 warnings" in found.out
    assert ran("rules", "check", file, "--strict").code == 1
    assert ran("rules", "check", tmp_path / "none").code == 2
    (tmp_path / "latin").write_bytes(b"# \xe9")
    assert ran("rules", "check", tmp_path / "latin").err == f"{tmp_path / 'latin'}: not UTF-8\n"


def test_every_limit_of_a_pump_is_shown_with_its_source_and_two_files_are_compared(tmp_path: Path) -> None:
    file, registry = tmp_path / "r.toml", tmp_path / "pumps.csv"
    file.write_text(TEXT)
    registry.write_text(REGISTRY)
    found = ran("rules", "show", "p1", "--rulebook", file, "--registry", registry)
    lines = {line.split()[0]: line.split() for line in found.out.splitlines()[2:]}
    assert lines["stall.for_s"][:6] == ["stall.for_s", "600", "s", "1200", "file:", "drug_class"]
    assert lines["stall.clear_for_s"] == ["stall.clear_for_s", "1800", "s", "default"]
    assert len(ran("rules", "show", "p1", "--rulebook", file, "--changed").out.splitlines()) == 3
    assert ran("rules", "show", "p2", "--registry", registry).code == 1
    diff = ran("rules", "diff", "default", file).out.splitlines()
    assert [line.split() for line in diff[1:]] == [
        ["drug_class.baclofen.stall.for_s", "-", "600", "s"],
        ["site.south.stall.for_s", "-", "300", "s"],
    ]
    assert ran("rules", "diff", file, file).out == "they say the same\n"


async def test_what_is_in_force_is_shown_listed_and_compared_by_version(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("INSERT INTO pump (pump_id, drug_class) VALUES ('p1', 'baclofen')")
    of_file = parse_rulebook(TEXT)
    said = {"value": 5, "reason": "trial", "author": "Dr. B", "expires": datetime(2099, 1, 1, tzinfo=UTC)}
    over = read_one("pump", "p1", "stall.missed_ul", said, ())
    assert isinstance(of_file, Rulebook)
    assert isinstance(over, Override)
    await set_override(connection, over, "test", datetime.now(UTC))
    both = of_file.joined(await open_overrides(connection))
    for rulebook in (of_file, both):
        await enter_into_force(connection, rulebook, datetime.now(UTC))
    await connection.close()
    database = ("--database-url", postgres_url)
    shown = (await ran_beside("rules", "show", "p1", "--changed", *database)).out
    assert "not judged yet" in shown
    (line,) = [line.split() for line in shown.splitlines() if line.startswith("stall.missed_ul")]
    assert line[4:] == ["set", "over", "it:", "pump", "p1", "2099-01-01T00:00:00Z", "Dr.", "B", "trial"]
    listed = (await ran_beside("rules", "list", *database)).out.splitlines()
    assert [line.split()[0] for line in listed[1:]] == [both.version, of_file.version]
    diff = (await ran_beside("rules", "diff", of_file.version, both.version, *database)).out.splitlines()
    assert [line.split() for line in diff[1:]] == [["pump.p1.stall.missed_ul", "-", "5", "µL"]]
    assert (await ran_beside("rules", "diff", "0123", "default", *database)).code == 1
    assert (await ran_beside("rules", "shadow", *database)).out.startswith("PUMP")
