"""What is configured, and one line for what is wrong."""

import pytest

from service.settings import SettingsError, load

SOUND = {"PUMPWATCH_DATABASE_URL": "postgresql://u:geheim@db/p", "PUMPWATCH_BROKER_URL": "mqtt://b:secret@broker:1883"}


def test_the_environment_is_read_and_defaults_fill_the_rest() -> None:
    settings = load({**SOUND, "PUMPWATCH_SHARD": "3", "HOME": "/root"})
    assert (settings.shard, settings.api_port) == (3, 8480)


def test_an_argument_wins_over_the_environment() -> None:
    assert load(SOUND, api_port=99, shard=None).api_port == 99


def test_passwords_are_not_shown() -> None:
    assert "geheim" not in str(load(SOUND).redacted())
    assert "secret" not in load(SOUND).redacted()["broker_url"]
    assert load(SOUND, secret_key="geheim").redacted()["secret_key"] == "***"
    assert load(SOUND, session_secret="geheim").redacted()["session_secret"] == "***"
    assert "postgresql://u:***@db/p" in load(SOUND).redacted().values()
    assert "geheim" not in str(load(SOUND, heartbeat_url="https://ping.example/geheim").redacted())


def test_of_several_hosts_the_one_that_can_be_written_to_is_wanted() -> None:
    several = "postgresql://u:p@db1:5432,db2:5433/p?application_name=x"
    assert load(SOUND, database_url=several).database_url == f"{several}&target_session_attrs=read-write"
    chosen = f"{several}&target_session_attrs=primary"
    assert load(SOUND, database_url=chosen).database_url == chosen


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PUMPWATCH_DATABASE_URL": ""}, "PUMPWATCH_DATABASE_URL: not set"),
        ({"PUMPWATCH_DATABASE_URL": "mysql://x"}, "PUMPWATCH_DATABASE_URL: must begin with postgresql://"),
        ({"PUMPWATCH_BROKER_URL": "http://x"}, "PUMPWATCH_BROKER_URL: must be mqtt://"),
        ({"PUMPWATCH_BROKER_URL": "mqtt://x:port"}, "PUMPWATCH_BROKER_URL: must be mqtt://"),
        ({"PUMPWATCH_SHARD": "three"}, "PUMPWATCH_SHARD: "),
        ({"PUMPWATCH_API_PORT": "70000"}, "PUMPWATCH_API_PORT: must be 0 to 65535"),
        ({"PUMPWATCH_ENROLMENT": "maybe"}, "PUMPWATCH_ENROLMENT: must be open or closed"),
        ({"PUMPWATCH_API_REQUESTS_PER_S": "-1"}, "PUMPWATCH_API_REQUESTS_PER_S: must be 0 (no limit) to"),
        ({"PUMPWATCH_API_STRANGERS_PER_S": "nan"}, "PUMPWATCH_API_STRANGERS_PER_S: must be 0 (no limit) to"),
        ({"PUMPWATCH_API_PROXIES": "10.0.0.1/8"}, "PUMPWATCH_API_PROXIES: 10.0.0.1/8 has host bits set"),
        ({"PUMPWATCH_RETENTION_D": "0"}, "PUMPWATCH_RETENTION_D: must be at least 1"),
        ({"PUMPWATCH_LOG_LEVEL": "loud"}, "PUMPWATCH_LOG_LEVEL: must be"),
        ({"PUMPWATCH_LOG_FORMAT": "xml"}, "PUMPWATCH_LOG_FORMAT: must be text or json"),
        ({"PUMPWATCH_RULEBOOK": "/nowhere.toml"}, "PUMPWATCH_RULEBOOK: /nowhere.toml is not a file"),
        ({"PUMPWATCH_WEBHOOK_CA": "/nowhere.pem"}, "PUMPWATCH_WEBHOOK_CA: /nowhere.pem is not a file"),
        ({"PUMPWATCH_WEBHOOK_ALLOW": "10.0.0.0/99"}, "PUMPWATCH_WEBHOOK_ALLOW: 10.0.0.0/99 is neither"),
        ({"PUMPWATCH_PUBLIC_URL": "ftp://x"}, "PUMPWATCH_PUBLIC_URL: must be https://"),
        ({"PUMPWATCH_OUTAGE_URL": "mailto:ada"}, "PUMPWATCH_OUTAGE_URL: must be https://"),
        ({"PUMPWATCH_OUTAGE_URL": "https://x.example"}, "PUMPWATCH_OUTAGE_SECRET: not set"),
        ({"PUMPWATCH_OUTAGE_SECRET": "secret"}, "PUMPWATCH_OUTAGE_SECRET: a webhook secret begins with whsec_"),
        ({"PUMPWATCH_OUTAGE_FORMAT": "pagerduty"}, "PUMPWATCH_OUTAGE_FORMAT: must be"),
        ({"PUMPWATCH_OUTAGE_AFTER_S": "0"}, "PUMPWATCH_OUTAGE_AFTER_S: must be 1 to 86400"),
        ({"PUMPWATCH_CANARY_EVERY_S": "-1"}, "PUMPWATCH_CANARY_EVERY_S: must be 1 to 86400"),
        ({"PUMPWATCH_BROKER_TLS_DIR": "/nowhere"}, "PUMPWATCH_BROKER_TLS_DIR: /nowhere is not a directory"),
        ({"PUMPWATCH_BROKER_TLS_DIR": "/"}, "PUMPWATCH_BROKER_TLS_DIR: PUMPWATCH_BROKER_URL must be mqtts://"),
        ({"PUMPWATCH_SESSION_SECRET": "a.b"}, "PUMPWATCH_SESSION_SECRET: must be of"),
        ({"PUMPWATCH_API_CERT_FILE": "/x.pem"}, "PUMPWATCH_API_CERT_FILE and PUMPWATCH_API_KEY_FILE belong together"),
        (
            {"PUMPWATCH_API_CERT_FILE": "/x.pem", "PUMPWATCH_API_KEY_FILE": "/x.key"},
            "PUMPWATCH_API_CERT_FILE: /x.pem is not a file",
        ),
        (
            {"PUMPWATCH_DATABASE_URL": "postgresql://u@db/p?sslmode=verify-full&sslrootcert=/x.crt"},
            "PUMPWATCH_DATABASE_URL: sslrootcert: /x.crt is not a file",
        ),
        ({"PUMPWATCH_SHARDS": "0-64"}, "PUMPWATCH_SHARDS: '0-64' is no shard"),
        ({"PUMPWATCH_INSTANCE": "ingest.1"}, "PUMPWATCH_INSTANCE: must be of"),
        ({"PUMPWATCH_BROKER_URL": "mqtt://n1:1,n2:x"}, "PUMPWATCH_BROKER_URL: must be mqtt://"),
        ({"PUMPWATCH_BROKER_MONITOR_URL": "http://n1:8222,n2:8222"}, "PUMPWATCH_BROKER_MONITOR_URL: must be"),
        ({"PUMPWATCH_PROT": "1"}, "PUMPWATCH_PROT: no such setting; known are"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_setting(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({**SOUND, **given})
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)
