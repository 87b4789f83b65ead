"""`pumpwatch doctor`: everything that it finds, for a person or for a program, and an exit code."""

import json
import re
from urllib.parse import urlsplit

import pytest

from service.exits import EXIT_PROBLEMS
from tests.commands.here import ran
from tests.keys import KEY


@pytest.fixture
def _settings(monkeypatch: pytest.MonkeyPatch, postgres_url: str, nats_url: str) -> None:
    for name, value in {"DATABASE_URL": postgres_url, "BROKER_URL": nats_url, "SECRET_KEY": KEY}.items():
        monkeypatch.setenv(f"PUMPWATCH_{name}", value)


@pytest.mark.usefixtures("_settings")
def test_it_says_what_is_so_and_what_to_do_and_keeps_passwords(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("PUMPWATCH_ENROLMENT", "ajar")
    done = ran("doctor", "--json")
    assert done.code == EXIT_PROBLEMS
    told = json.loads(done.out)
    assert told["level"] == "problem"
    by_area = {finding["area"] for finding in told["findings"]}
    assert by_area >= {
        "settings",
        "secret key",
        "disk",
        "database",
        "schema",
        "clocks",
        "watching",
        "endpoints",
        "broker",
    }
    assert all(finding["do"] for finding in told["findings"] if finding["level"] != "ok")
    assert any("PUMPWATCH_ENROLMENT: must be open or closed" in finding["what"] for finding in told["findings"])
    assert (urlsplit(postgres_url).password or "none is needed") not in done.out

    done = ran("doctor")
    assert done.code == EXIT_PROBLEMS
    assert re.search("^problem +settings +PUMPWATCH_ENROLMENT: must be open or closed$", done.out, re.MULTILINE)
    assert done.out.splitlines()[-1].endswith("problem")


def test_without_any_settings_it_says_which_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "BROKER_URL"):
        monkeypatch.delenv(f"PUMPWATCH_{name}", raising=False)
    done = ran("doctor")
    assert done.code == EXIT_PROBLEMS
    assert "PUMPWATCH_DATABASE_URL: not set" in done.out
    assert "PUMPWATCH_BROKER_URL: not set" in done.out
