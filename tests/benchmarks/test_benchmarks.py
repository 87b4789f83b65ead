"""The benchmark itself, tiny: that it measures what it says, not how fast anything is."""

import json
import shutil
from html import escape
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks.page import page_of
from tests.benchmarks.results import CATALOGUE, CURVES, Results
from tests.benchmarks.suite import STEPS, Size, run
from tests.servers import mosquitto_binary

FEW = Size(rounds=1, messages=2_000, pumps=(100,), history=(30_000,), lengths=(6,))


async def test_every_figure_is_measured_on_real_servers_or_skipped_with_a_reason(tmp_path: Path) -> None:
    results, destination = Results(), tmp_path / "build/bench.json"

    await run(results, FEW, list(STEPS), Console(quiet=True))  # raises where a message is not stored and settled
    results.write(destination)

    told = json.loads(destination.read_text())
    assert told["figures"].keys() == CATALOGUE.keys()
    for name, figure in told["figures"].items():
        assert {"value", "unit", "ratio", "of", "budget", "rounds"} == figure.keys() - {"skipped"}, name
        assert figure["value"] is None if "skipped" in figure else figure["value"] >= 0, name
    assert told["figures"]["ingest.nats.single"]["of"] == "baseline.nats_sub"
    if shutil.which("mosquitto_sub"):
        assert told["figures"]["ingest.nats.single"]["ratio"] > 0
    if mosquitto_binary():
        assert told["curves"].keys() == CURVES.keys()
        assert told["curves"]["readings"].keys() == {"json", "messagepack"}
        assert all(len(line) == 1 for lines in told["curves"].values() for line in lines.values())
    page = page_of(told)
    assert page.startswith("<!doctype html>")
    assert all(escape(CATALOGUE[name].title) in page for name in CATALOGUE)
    assert "http" not in page.replace("http://www.w3.org", "")


async def test_what_a_machine_lacks_is_skipped_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.ground.mosquitto_binary", lambda: None)
    monkeypatch.setattr("tests.benchmarks.subscriber.shutil.which", lambda _: None)
    results = Results()

    await run(results, FEW, ["mosquitto", "nats_sub"], Console(quiet=True))

    figures = results.as_json()["figures"]
    assert "mosquitto" in figures["ingest.mosquitto.single"]["skipped"]
    assert figures["baseline.nats_sub"]["value"] is None


def test_a_ratio_is_that_of_rounds_measured_side_by_side() -> None:
    results = Results()
    results.values["baseline.nats_sub"] = [20_000, 10_000, 30_000]
    results.values["ingest.nats.single"] = [18_000, 9_000, 27_000]

    figure = results.as_json()["figures"]["ingest.nats.single"]

    assert (figure["value"], figure["ratio"], figure["of"]) == (18_000, 0.9, "baseline.nats_sub")
