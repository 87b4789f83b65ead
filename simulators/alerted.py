"""What did the service say of these pumps? Its alerts, asked of its API once the run is over."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

ANSWERS_WITHIN_S: Final = 10.0
PAGE: Final = 1000


def alerts_of(api_url: str, token_file: Path, pump_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Every alert of these pumps, oldest first for each. Raises OSError where the service does not answer well."""
    token = token_file.read_text(encoding="ascii").strip()
    found: list[dict[str, Any]] = []
    for pump_id in dict.fromkeys(pump_ids):
        query = {"pump": pump_id, "limit": str(PAGE)}
        of_pump: list[dict[str, Any]] = []
        while True:
            page = _asked(f"{api_url.rstrip('/')}/api/v1/alerts?{urllib.parse.urlencode(query)}", token)
            of_pump += page["items"]
            if page.get("next_cursor") is None:
                break
            query["cursor"] = page["next_cursor"]
        found += reversed(of_pump)
    return found


def _asked(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  the user's own
    try:
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN_S) as answer:  # noqa: S310
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise OSError(error.code, f"the service answers {error.code} {error.reason}", url) from None
    except urllib.error.URLError as error:
        raise OSError(0, f"the service does not answer: {error.reason}", url) from None
    except ValueError:
        raise OSError(0, "the service's answer is no JSON", url) from None
