"""Settings: read once, checked, and named when they are wrong."""

from pathlib import Path

import pytest

from service.settings import SettingsError, environment_of, load, without_password

GOOD = {"PUMPWATCH_DATABASE_URL": "postgresql://a:secret@h/d", "PUMPWATCH_BROKER_URL": "mqtt://u:secret@h:1883"}


def test_what_is_given_on_the_command_line_wins() -> None:
    assert load(GOOD, broker_url="mqtt://other:1", api_port=None).broker_url == "mqtt://other:1"


def test_a_child_process_gets_the_same_settings() -> None:
    settings = load(GOOD | {"PUMPWATCH_API_PORT": "0", "PUMPWATCH_RULEBOOK": __file__})
    assert load(environment_of(settings)) == settings


def test_passwords_are_not_shown() -> None:
    assert "secret" not in str(load(GOOD).redacted())
    assert without_password("mqtt://h:1883") == "mqtt://h:1883"


def test_a_command_without_broker_needs_none() -> None:
    url = GOOD["PUMPWATCH_DATABASE_URL"]
    assert load({}, required=["database_url"], database_url=url).database_url == url


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "mysql://h/d"),
        ("BROKER_URL", "http://h:1883"),
        ("BROKER_URL", "mqtt://"),
        ("BROKER_URL", "mqtt://h:port"),
        ("API_PORT", "eighty"),
        ("API_PORT", "65536"),
        ("SHARD", "1.5"),
        ("ENROLMENT", "ajar"),
        ("LOG_LEVEL", "loud"),
        ("RULEBOOK", "/no/such/file"),
        ("RETENTION_D", "0"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(GOOD | {f"PUMPWATCH_{name}": text})
    assert str(raised.value).startswith(f"PUMPWATCH_{name}: ")
    assert "\n" not in str(raised.value)


def test_a_path_is_a_path() -> None:
    assert load(GOOD | {"PUMPWATCH_METRICS_DIR": "/tmp/m"}).metrics_dir == Path("/tmp/m")  # noqa: S108 - not opened
