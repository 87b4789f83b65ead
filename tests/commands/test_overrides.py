"""`pumpwatch rules override`: set, listed, ended; and refused as a file would be."""

from tests.commands.here import ran_beside

WHY = ("--reason", "titration", "--expires", "2099-12-31")


async def test_an_override_is_set_listed_and_ended(postgres_url: str) -> None:
    database = ("--database-url", postgres_url)
    found = await ran_beside("rules", "override", "set", "--pump", "p1", "stall.missed_ul", "6", *WHY, *database)
    assert (found.code, found.out) == (0, "1: pump.p1.stall.missed_ul = 6\n")
    assert found.err == "warning: the registry knows no pump p1\n"
    ladder = ("stall.priority", "medium,high", "--author", "Dr. A")
    assert (await ran_beside("rules", "override", "set", "--site", "a", *ladder, *WHY, *database)).code == 0
    off = ("battery_low.enabled", "false", "--reason", "x")
    assert (await ran_beside("rules", "override", "set", "--drug-class", "opioid", *off, *database)).code == 0
    listed = (await ran_beside("rules", "override", "list", *database)).out
    assert [line.split()[:4] for line in listed.splitlines()[1:]] == [
        ["3", "drug_class", "opioid", "battery_low.enabled"],
        ["2", "site", "a", "stall.priority"],
        ["1", "pump", "p1", "stall.missed_ul"],
    ]
    assert (await ran_beside("rules", "override", "end", "2", *database)).code == 0
    assert (await ran_beside("rules", "override", "end", "2", *database)).code == 1
    assert len((await ran_beside("rules", "override", "list", *database)).out.splitlines()) == 3
    assert len((await ran_beside("rules", "override", "list", "--all", *database)).out.splitlines()) == 4


async def test_what_a_file_could_not_say_is_refused(postgres_url: str) -> None:
    for key, value, why, said in (
        ("stall.missed_ul", "nan", WHY, "nan is outside 1 to 100"),
        ("stall.missed_ul", "6", WHY[:2], "missing: expires"),
        ("stall.missed_ul", "6", ("--reason", "x", "--expires", "2020-01-01"), "expires in the past"),
        ("stall.missed_ul", "6", ("--reason", "x", "--expires", "soon"), "expected a date or a time"),
        ("silence.enabled", "false", WHY, "cannot be switched off"),
    ):
        found = await ran_beside(
            "rules", "override", "set", "--pump", "p1", key, value, *why, "--database-url", postgres_url
        )
        assert found.code == 1
        assert said in found.err
