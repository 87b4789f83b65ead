"""What the tests of security ask for: an installation, and each kind of broker on its configuration."""

from collections.abc import Iterator

import pytest

from tests.security.installation import Installation, SecuredBroker, SecuredMosquitto, SecuredNats
from tests.servers import mosquitto_binary

GOOD, OTHER, ENDED, REVOKED = "good-1", "other-2", "ended-3", "revoked-4"


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = Installation(tmp_path_factory.mktemp("installation"))
    made.issue(GOOD, OTHER, REVOKED)
    made.issue_ended(ENDED)
    made.run("revoke", REVOKED)
    return made


@pytest.fixture(scope="package", params=[SecuredNats, SecuredMosquitto], ids=["nats", "mosquitto"])
def broker(
    request: pytest.FixtureRequest, installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredBroker]:
    if request.param is SecuredMosquitto and mosquitto_binary() is None:
        pytest.skip("no mosquitto on this machine (Debian: apt-get install mosquitto)")
    made: SecuredBroker = request.param(installation, tmp_path_factory.mktemp(request.param.name))
    made.start()
    yield made
    made.stop()
