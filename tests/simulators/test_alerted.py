"""What the service alerted is asked of its API, page by page, and what goes wrong is said in words."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from simulators.alerted import alerts_of

ALERTS = {"p1": [{"id": 3}, {"id": 2}, {"id": 1}], "p2": []}


class Api(BaseHTTPRequestHandler):
    """Two alerts a page, newest first, for who has the token."""

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        at = int(query.get("cursor", 0))
        known = ALERTS[query["pump"]]
        page = {"items": known[at : at + 2], "next_cursor": str(at + 2) if at + 2 < len(known) else None}
        authorised = self.headers["Authorization"] == "Bearer good"
        self.send_response(200 if authorised else 401)
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def api_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_every_page_is_read_and_alerts_come_oldest_first(api_url: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("good\n", encoding="ascii")

    assert alerts_of(api_url, token, ["p1", "p2", "p1"]) == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_a_refusal_and_a_service_that_is_away_are_said_in_words(api_url: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("bad", encoding="ascii")

    with pytest.raises(OSError, match="the service answers 401"):
        alerts_of(api_url, token, ["p1"])
    with pytest.raises(OSError, match="does not answer"):
        alerts_of("http://127.0.0.1:1", token, ["p1"])
    with pytest.raises(OSError, match="No such file"):
        alerts_of(api_url, tmp_path / "none", ["p1"])
