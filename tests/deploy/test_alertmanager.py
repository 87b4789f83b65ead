"""deploy/alertmanager: what Prometheus sees comes to somebody, and nothing that follows from it does."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from service.embedded.child import free_port
from tests.deploy.conftest import ROOT
from tests.deploy.declared import SECRETS, services
from tests.patience import until_true

BINARY, AMTOOL = shutil.which("prometheus-alertmanager"), shutil.which("amtool")
pytestmark = pytest.mark.skipif(
    BINARY is None or AMTOOL is None, reason="no Alertmanager on this machine (Debian: prometheus-alertmanager)"
)
WRITTEN = "/run/alertmanager/alerts-url"
ADDRESS = "/hook?team=ward&key=a|b"
"""None of it means anything to a shell, nor to a configuration."""


Heard = tuple[str, list[dict[str, Any]]]
"""An address, and the bodies that were sent to it."""


@pytest.fixture
def heard() -> Iterator[Heard]:
    bodies: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == ADDRESS
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{ADDRESS}", bodies
    server.shutdown()
    server.server_close()


class AsDeclared:
    """Alertmanager with the words and the file that the compose file gives it, at addresses of this test."""

    def __init__(self, directory: Path, url: str) -> None:
        service = services(SECRETS | {"ALERTS_URL": url})["alertmanager"]
        self.url = f"http://127.0.0.1:{free_port()}"
        written, file = directory / "alerts-url", directory / "alertmanager.yml"
        there = {"/bin/alertmanager": str(BINARY), WRITTEN: str(written), "$$": "$"}
        there |= {"/etc/alertmanager": str(directory), "=/alertmanager": f"={directory}/kept"}
        there |= {"127.0.0.1:9093": self.url.removeprefix("http://")}
        words = [*service["entrypoint"], *service["command"]]
        for before, after in there.items():
            words = [word.replace(before, after) for word in words]
        # Debian's 0.25 cannot read the address from a file: what the entrypoint writes there is compared instead.
        text = (ROOT / "deploy/alertmanager/alertmanager.yml").read_text(encoding="utf-8")
        assert text.count(f"url_file: {WRITTEN}") == 1
        file.write_text(text.replace(f"url_file: {WRITTEN}", f"url: {json.dumps(url)}"), encoding="utf-8")
        self.file, self._written, self._given = file, written, url
        self._log = (directory / "log").open("wb")
        self._child = subprocess.Popen(
            words, env={"PATH": "/usr/bin:/bin", **service["environment"]}, stdout=self._log, stderr=self._log
        )

    def ready(self) -> bool:
        assert self._child.poll() is None, Path(self._log.name).read_text(encoding="utf-8")
        try:
            ready = httpx.get(f"{self.url}/-/ready", timeout=5).is_success
        except httpx.HTTPError:
            return False
        assert not ready or self._written.stat().st_mode & 0o777 == 0o600, "it may hold a secret"
        return ready and self._written.read_text(encoding="utf-8") == self._given

    def tell(self, *alerts: dict[str, str]) -> None:
        answer = httpx.post(f"{self.url}/api/v2/alerts", json=[{"labels": labels} for labels in alerts], timeout=30)
        assert answer.is_success, answer.text

    def suppressed(self) -> list[str]:
        alerts = httpx.get(f"{self.url}/api/v2/alerts", timeout=30).json()
        return [each["labels"]["alertname"] for each in alerts if each["status"]["state"] == "suppressed"]

    def stop(self) -> None:
        self._child.terminate()
        self._child.wait(60)
        self._log.close()


@pytest.fixture
async def alertmanager(tmp_path: Path, heard: Heard) -> AsyncIterator[AsDeclared]:
    running = AsDeclared(tmp_path, heard[0])
    try:
        await until_true(running.ready, "Alertmanager to be ready")
        yield running
    finally:
        running.stop()


def test_the_configuration_is_one_that_its_own_tool_accepts(alertmanager: AsDeclared) -> None:
    checked = subprocess.run(
        [str(AMTOOL), "check-config", str(alertmanager.file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_what_prometheus_sees_arrives_and_of_a_service_that_is_not_seen_nothing_else(
    alertmanager: AsDeclared, heard: Heard
) -> None:
    _, bodies = heard
    of_it = ["PumpwatchHearsNothing", "PumpwatchNotSeen"]
    alertmanager.tell(*({"alertname": name, "priority": "high"} for name in ("PumpwatchGone", *of_it)))
    await until_true(lambda: bodies, "the webhook")
    assert bodies[0]["receiver"] == "people"
    assert [alert["labels"]["alertname"] for alert in bodies[0]["alerts"]] == ["PumpwatchGone"]
    await until_true(lambda: sorted(alertmanager.suppressed()) == of_it, "the others to be kept back")


async def test_while_a_part_of_the_service_answers_whatever_else_is_wrong_arrives(
    alertmanager: AsDeclared, heard: Heard
) -> None:
    _, bodies = heard
    names = {"PumpwatchNotSeen", "PumpwatchPageUndelivered"}
    alertmanager.tell(*({"alertname": name, "priority": "high"} for name in names))
    await until_true(lambda: {body["groupLabels"]["alertname"] for body in bodies} == names, "both webhooks")
    assert alertmanager.suppressed() == []


def test_the_address_is_written_where_alertmanager_alone_can_write_and_read() -> None:
    service = services()["alertmanager"]
    assert service["user"] == "65534:65534"
    assert service["tmpfs"] == ["/run/alertmanager:size=1m,uid=65534,gid=65534,mode=0700"]


def test_prometheus_tells_it_at_the_address_at_which_it_listens() -> None:
    words = services()["alertmanager"]["command"]
    address = next(word.partition("=")[2] for word in words if word.startswith("--web.listen-address"))
    assert f'targets: ["{address}"]' in (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    assert services()["alertmanager"]["network_mode"] == services()["prometheus"]["network_mode"]
