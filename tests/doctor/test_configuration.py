"""Half-written configurations: every mistake is named at once, with what to do about it."""

from pathlib import Path

import pytest

from service.doctor.configuration import read
from service.doctor.finding import Level
from tests.doctor.seen import told

SOUND = {
    "PUMPWATCH_DATABASE_URL": "postgresql://pumpwatch:secret@127.0.0.1/pumpwatch",
    "PUMPWATCH_BROKER_URL": "mqtt://127.0.0.1:1883",
}


def test_what_is_sound_has_no_problem() -> None:
    settings, found = read(SOUND)
    assert settings is not None
    assert told(found) == ""
    assert "2 given, none is wrong" in told(found, Level.OK)


def test_all_mistakes_are_named_and_not_the_first_alone(tmp_path: Path) -> None:
    rulebook = tmp_path / "rulebook.toml"
    rulebook.write_text("[all.stall]\nflow_under = 'much'\n", encoding="utf-8")
    settings, found = read(
        SOUND
        | {
            "PUMPWATCH_API_PORT": "many",
            "PUMPWATCH_API_CERT_FILE": str(rulebook),
            "PUMPWATCH_OUTAGE_URL": "https://pager.example/hook",
            "PUMPWATCH_RETENSION_D": "30",
            "PUMPWATCH_WEBHOOK_CA": "/no/such/file",
            "PUMPWATCH_RULEBOOK": str(rulebook),
        }
    )
    assert settings is not None  # the rest can be looked at all the same
    assert settings.api_port == 8480
    for line in (
        "PUMPWATCH_API_PORT: Expected `int`, got `str` -> correct it",
        "PUMPWATCH_API_CERT_FILE and PUMPWATCH_API_KEY_FILE belong together -> set both, or neither",
        "PUMPWATCH_OUTAGE_SECRET: not set, and PUMPWATCH_OUTAGE_URL needs it -> ",
        "PUMPWATCH_RETENSION_D: no such setting -> is it misspelt?",
        "PUMPWATCH_WEBHOOK_CA: /no/such/file is not a file -> put it there",
        f"{rulebook}:",
    ):
        assert line in told(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUMPWATCH_DATABASE_URL", "postgresql://pumpwatch:CHANGE-ME@127.0.0.1/pumpwatch"),
        ("PUMPWATCH_DATABASE_URL", ""),
        ("PUMPWATCH_DATABASE_URL", "mysql://127.0.0.1/pumpwatch"),
        ("PUMPWATCH_BROKER_URL", ""),
        ("PUMPWATCH_BROKER_URL", "http://127.0.0.1"),
        ("PUMPWATCH_SECRET_KEY", "${SECRET_KEY}"),
        ("PUMPWATCH_BROKER_TLS_DIR", "/no/such/directory"),
    ],
)
def test_what_was_left_half_written_is_a_problem_that_names_the_variable(name: str, value: str) -> None:
    _, found = read(SOUND | {name: value})
    assert name in told(found)


def test_what_somebody_will_miss_one_day_is_a_warning() -> None:
    away = {
        "PUMPWATCH_DATABASE_URL": "postgresql://pumpwatch:secret@db.example/pumpwatch",
        "PUMPWATCH_BROKER_URL": "mqtt://broker.example",
        "PUMPWATCH_API_HOST": "0.0.0.0",
        "PUMPWATCH_CANARY_EVERY_S": "0",
    }
    _, found = read(away)
    warned = told(found, Level.WARNING)
    assert told(found) == ""
    for name in ("OUTAGE_URL", "HEARTBEAT_URL", "CANARY_EVERY_S", "PUBLIC_URL", "BROKER_TLS_DIR", "API_CERT_FILE"):
        assert f"PUMPWATCH_{name}" in warned
    assert "sslmode=verify-full" in warned


def test_a_proxy_that_nobody_has_named_is_a_warning() -> None:
    proxied = SOUND | {"PUMPWATCH_PUBLIC_URL": "https://pumps.example"}
    assert "set PUMPWATCH_API_PROXIES" in told(read(proxied)[1], Level.WARNING)
    assert "PROXIES" not in told(read(proxied | {"PUMPWATCH_API_PROXIES": "127.0.0.1"})[1], Level.WARNING)
