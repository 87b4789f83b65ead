"""`pumpwatch rules`: mistakes by file and line, and a stream judged without any server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.loops.driven import telemetry
from tests.pumps import NOON_MS


def pumpwatch(*arguments: object, stdin: bytes = b"") -> "subprocess.CompletedProcess[str]":
    """Run without any setting: no server is needed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PUMPWATCH_")}
    ran = subprocess.run(
        [sys.executable, "-m", "service", *map(str, arguments)],
        env=environment,
        input=stdin,
        capture_output=True,
        timeout=180,
        check=False,
    )
    return subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())


def stream(directory: Path) -> Path:
    file = directory / "stream.ndjson"
    lines = [
        {
            "topic": "pumps/v1/p1/telemetry",
            "received_ms": NOON_MS + 86_400_000,
            "payload": telemetry(seq, [float(seq < 60)]),
        }
        for seq in range(120)
    ]
    file.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines) + b"\n")
    return file


def test_a_sound_rulebook_is_named_by_its_version(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[stall]\nmissed_ul = 8\n")
    ran = pumpwatch("rules", "check", str(tmp_path / "r.toml"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "no problems" in ran.stdout


def test_a_mistake_in_a_rulebook_is_named_by_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text("[stall]\n\nmissed_ul = 800\n")
    ran = pumpwatch("rules", "check", str(file))
    assert (ran.returncode, ran.stderr) == (1, f"{file}:3: stall.missed_ul: 800 is outside 1 to 100 µL\n")


def test_a_stream_is_judged_as_json_and_as_a_table(tmp_path: Path) -> None:
    file = stream(tmp_path)
    ran = pumpwatch("rules", "backtest", "--from", str(file), "--json")
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["readings"], told["rejected"]) == (0, 120, 0)
    assert [(alert["pump_id"], alert["condition"], alert["ended_ms"]) for alert in told["alerts"]] == [
        ("p1", "stall", None)
    ]
    assert "stall" in pumpwatch("rules", "backtest", "--from", str(file)).stdout


def test_a_stream_is_read_from_standard_input(tmp_path: Path) -> None:
    ran = pumpwatch("rules", "backtest", "--from", "-", "--json", stdin=stream(tmp_path).read_bytes())
    assert len(json.loads(ran.stdout)["alerts"]) == 1


def test_a_line_that_is_no_message_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.ndjson"
    file.write_text('{"topic": "pumps/v1/p1/telemetry", "received_ms": 1, "payload": {}}\n{"topic"\n')
    ran = pumpwatch("rules", "backtest", "--from", str(file), "--json")
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"{file}:2: ")
    assert pumpwatch("rules", "backtest", "--from", str(tmp_path / "none")).returncode == 2
