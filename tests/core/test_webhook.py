"""The headers of a webhook, held to the reference library and to the vector that Standard Webhooks publishes."""

import base64
import json
import shutil
import subprocess
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from service.core.webhook import BadSecretError, headers, key

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"f" * 24).decode()


def test_the_signature_is_that_of_the_published_vector() -> None:
    # From the test suites of the standard's reference libraries.
    made = headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(body=st.text().map(lambda text: text.encode("utf-8", "ignore")), key_bytes=st.binary(min_size=24, max_size=64))
def test_the_reference_library_verifies_any_body_under_any_key(body: bytes, key_bytes: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key_bytes).decode()
    Webhook(secret).verify(body, headers("n1", datetime.now(UTC), body, [secret]), json_parse=False)


def test_while_secrets_are_rotated_the_old_and_the_new_one_verify_and_no_other() -> None:
    made = headers("n1", datetime.now(UTC), b"{}", [SECRET, OTHER])
    Webhook(SECRET).verify(b"{}", made)
    Webhook(OTHER).verify(b"{}", made)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(b"{}", made)


def test_a_body_that_was_changed_on_the_way_does_not_verify() -> None:
    made = headers("n1", datetime.now(UTC), b'{"priority": "high"}', [SECRET])
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b'{"priority": "low"}', made)


def test_the_timestamp_is_the_same_instant_in_every_zone() -> None:
    at = datetime(2026, 11, 22, 20, 28, 46, tzinfo=UTC)
    elsewhere = at.astimezone(timezone(timedelta(hours=-5)))
    assert headers("n1", at, b"{}", [SECRET]) == headers("n1", elsewhere, b"{}", [SECRET])


@pytest.mark.parametrize(
    "secret",
    ["", "hunter2", "whsec_", "whsec_!!!!", "whsec_" + "A" * 20, "whsec_" + "A" * 400, "whsk_" + "A" * 43, "whsec_é"],
)
def test_a_bad_secret_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(BadSecretError) as raised:
        key(secret)
    told = secret.removeprefix("whsec_")
    assert not told or told not in str(raised.value)


@pytest.fixture(scope="module")
def reference_for_javascript(request: pytest.FixtureRequest) -> Path:
    """Where npm has put the library; once, beside pytest's own cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm on this machine (Debian: apt-get install npm)")
    cache = request.config.cache
    assert cache is not None
    kept = Path(cache.mkdir("standardwebhooks-1.0.0"))
    place = kept / "whole"
    if not place.is_dir():
        # Moved there when it is whole: another run may be at it too, and npm may be interrupted.
        with tempfile.TemporaryDirectory(dir=kept) as directory:
            made = Path(directory, "whole")
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(made), "standardwebhooks@1.0.0"]
            try:
                subprocess.run(command, capture_output=True, timeout=120, check=True)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                pytest.skip(f"npm cannot install standardwebhooks: {error.stderr!r:.300}")
            with suppress(OSError):  # the other run was first
                made.rename(place)
    return place


def verified_in_javascript(place: Path, secret: str, made: dict[str, str], body: bytes) -> str:
    given = json.dumps({"secret": secret, "headers": made, "body": body.decode()})
    command = ["node", str(Path(__file__).with_name("verify.mjs")), str(place)]
    ended = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout.strip()


def test_the_reference_library_for_javascript_verifies_either_key_and_no_other(reference_for_javascript: Path) -> None:
    body = '{"type": "alert.activated", "data": {"what": "60 µg/d"}}'.encode()
    made = headers("n1", datetime.now(UTC), body, [SECRET, OTHER])
    third = "whsec_" + base64.b64encode(b"t" * 24).decode()
    said = [verified_in_javascript(reference_for_javascript, secret, made, body) for secret in (SECRET, OTHER, third)]
    assert said[:2] == ["verified"] * 2
    assert said[2].startswith("refused")
