"""The audit of what we ship, and the list of it: a known vulnerability ends the build, nobody to ask does not."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT

KNOWN = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "made up",
    "details": "made up",
    "published": "2026-01-01T00:00:00Z",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "msgspec"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.20.1"}]}],
            "versions": ["0.20.0"],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    """Knows of one vulnerability."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"vulns": [KNOWN]} if asked["package"]["name"] == "msgspec" else {}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def osv_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    server.shutdown()
    thread.join()
    server.server_close()


LOCK = "httpx==0.28.1\nmsgspec==0.20.0\n"


def audit(directory: Path, osv_url: str, accepted: str = "", lock: str = LOCK) -> tuple[int, str]:
    (directory / "lock.txt").write_text(lock, encoding="utf-8")
    (directory / "accepted.toml").write_text(accepted, encoding="utf-8")
    command = [sys.executable, "-m", "tests.deploy.audit", "--osv-url", osv_url]
    command += ["--lock", str(directory / "lock.txt"), "--accepted", str(directory / "accepted.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_known_vulnerability_fails_and_says_what_fixes_it_until_somebody_accepts_it(
    osv_url: str, tmp_path: Path
) -> None:
    code, said = audit(tmp_path, osv_url)
    assert code == 1
    assert "VULNERABLE: msgspec 0.20.0: PYSEC-2026-1, fixed in 0.20.1\n2 packages audited\n" in said
    accepted = '[[accepted]]\nid = "CVE-2026-1"\nwhy = "made up"\nuntil = {until}\n'
    code, said = audit(tmp_path, osv_url, accepted.format(until="2999-12-31"))
    assert (code, said.splitlines()[0]) == (0, "accepted until 2999-12-31: PYSEC-2026-1 of msgspec 0.20.0")
    code, said = audit(tmp_path, osv_url, accepted.format(until="2020-12-31"))
    assert code == 1
    assert "accepted until 2020-12-31 only" in said


def test_where_nobody_can_be_asked_it_says_so_and_does_not_fail(tmp_path: Path) -> None:
    code, said = audit(tmp_path, "http://127.0.0.1:1/v1/query")
    assert code == 0
    assert said.startswith("NOT AUDITED: nobody could be asked")


def test_an_audit_that_goes_wrong_otherwise_fails(osv_url: str, tmp_path: Path) -> None:
    code, said = audit(tmp_path, osv_url, lock="msgspec>=0.20\n")
    assert code == 1
    assert said.startswith("the audit could not be made: ")
