"""`pumpwatch pumps`: the registry from a file and back."""

from pathlib import Path

import asyncpg

from service.core.registry import COLUMNS
from tests.commands.program import Pumpwatch

HEADER = ",".join(COLUMNS)
ROW = "{},{},Europe/Zurich,rotor-20,rotor,computed,20.3,baclofen,baclofen,0.1,60,2026-12-31,true,false,300.3,2023-05-17"


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    return path


async def test_a_file_goes_in_and_comes_out_as_it_was(pumpwatch: Pumpwatch, postgres_url: str, tmp_path: Path) -> None:
    rows = [ROW.format(f"p{number}", "north") for number in range(1, 4)]
    file = write(tmp_path / "pumps.csv", *rows)
    rehearsed = pumpwatch("pumps", "import", file, "--dry-run")
    assert (rehearsed.code, rehearsed.out) == (0, "would be: 3 new, 0 changed, 0 as they were\n"), rehearsed.err
    assert pumpwatch("pumps", "export").out == f"{HEADER}\n"

    assert pumpwatch("pumps", "import", file).out == "3 new, 0 changed, 0 as they were\n"
    assert pumpwatch("pumps", "export").out == file.read_text(encoding="utf-8")
    write(file, rows[0], rows[1].replace("rotor,", "sensor,"), ROW.format("p9", "south"))
    assert pumpwatch("pumps", "import", file).out == "1 new, 1 changed, 1 as they were\n"
    assert pumpwatch("pumps", "export").out.count("\n") == 5

    connection = await asyncpg.connect(postgres_url)
    audited = await connection.fetch("SELECT actor, action FROM audit ORDER BY id")
    await connection.close()
    assert [row["action"] for row in audited] == ["pumps_imported"] * 2
    assert all(row["actor"].startswith("cli:") for row in audited)


def test_an_import_is_listed_and_undone(pumpwatch: Pumpwatch, tmp_path: Path) -> None:
    file = write(tmp_path / "pumps.csv", ROW.format("p1", "north"))
    pumpwatch("pumps", "import", file)
    listed = pumpwatch("pumps", "imports").out.splitlines()[1].split()
    assert (listed[0], listed[3:7]) == ("1", ["pumps.csv", "1", "0", "0"])
    assert pumpwatch("pumps", "undo", "1") == (0, "import 1 is undone\n", "")
    assert pumpwatch("pumps", "export").out == f"{HEADER}\n"
    again = pumpwatch("pumps", "undo", "1")
    assert (again.code, again.err.count("has undone it at")) == (1, 1)
    assert pumpwatch("pumps", "undo", "7") == (1, "", "7: there is no import of this number\n")


async def test_a_file_with_a_mistake_changes_nothing_and_every_mistake_is_told(
    pumpwatch: Pumpwatch, tmp_path: Path
) -> None:
    good = ROW.format("p1", "north")
    file = write(tmp_path / "pumps.csv", good, good.replace("20.3", "-1").replace("Europe", "Mars"), "p2", good)
    ended = pumpwatch("pumps", "import", file)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        f"{file}:3: capacity_ml: must be a number above 0 and at most 100 (mL), not '-1'",
        f"{file}:4: 1 cells, and the header has 16",
        f"{file}:5: pump_id: p1 is already on line 2",
    ]
    assert pumpwatch("pumps", "export").out == f"{HEADER}\n"


def test_a_file_that_cannot_be_read_is_told_in_one_line(pumpwatch: Pumpwatch, tmp_path: Path) -> None:
    absent = tmp_path / "absent.csv"
    assert pumpwatch("pumps", "import", absent) == (2, "", f"{absent}: No such file or directory\n")
    binary = tmp_path / "pumps.xlsx"
    binary.write_bytes(b"PK\n\n\xff\xfe")
    assert pumpwatch("pumps", "import", binary) == (1, "", f"{binary}:3: not UTF-8\n")
