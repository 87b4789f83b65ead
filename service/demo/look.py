"""What can be seen from outside? The API, its metrics, and what the clinic says that it received."""

from datetime import datetime
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from service.demo.judge import Raised, Told

COUNTED = {
    "pumpwatch_readings_stored_total": "readings",
    "pumpwatch_settled_total": "messages",
    "pumpwatch_duplicates_total": "duplicates",
    "pumpwatch_quarantined_total": "quarantined",
    "pumpwatch_receipts_total": "receipts",
    "pumpwatch_alert_changes_total": "alert_changes",
    "pumpwatch_attempts_total": "attempts",
}
A_PAGE = 1000


class Outside:
    """Asks as any client would."""

    def __init__(self, api_url: str, token: str, clinic_url: str) -> None:
        self._api = httpx.AsyncClient(base_url=api_url, headers={"Authorization": f"Bearer {token}"}, timeout=10.0)
        self._clinic = httpx.AsyncClient(base_url=clinic_url, timeout=10.0)

    async def close(self) -> None:
        await self._api.aclose()
        await self._clinic.aclose()

    async def way_in(self) -> str:
        """The path of a link that logs a clinician of the demonstration in to the board, once."""
        name = "demo-clinician"
        await self._post("/api/v1/accounts", {"name": name, "role": "clinician"})
        link = await self._post(f"/api/v1/accounts/{name}/link")
        path: str = link["path"]
        return path

    async def alerts(self) -> list[Raised]:
        """Every alert, the newest first."""
        found: list[Raised] = []
        cursor: str | None = None
        while True:
            asked = {"limit": A_PAGE} | ({"cursor": cursor} if cursor else {})
            page = await self._json(self._api, "/api/v1/alerts", asked)
            found += [_raised(item) for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def told(self) -> list[Told]:
        """The webhooks that the clinic verified, each id once."""
        received = await self._json(self._clinic, "/received")
        return [
            Told(request["body"]["data"]["alert_id"], request["body"]["type"], request["received_ms"])
            for request in received["requests"]
            if request["verified"] and request["first"] and request["body"]["type"].startswith("alert.")
        ]

    async def counts(self) -> dict[str, int]:
        """The sums of what is counted, over labels and processes."""
        answer = await self._api.get("/metrics")
        answer.raise_for_status()
        sums = dict.fromkeys(COUNTED.values(), 0)
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name in COUNTED:
                    sums[COUNTED[sample.name]] += int(sample.value)
        return sums

    async def _post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = await self._api.post(path, json=body)
        if answer.status_code != httpx.codes.CONFLICT:  # it is there since an earlier run
            answer.raise_for_status()
        return answer.json()

    async def _json(self, client: httpx.AsyncClient, path: str, asked: dict[str, Any] | None = None) -> Any:
        answer = await client.get(path, params=asked)
        answer.raise_for_status()
        return answer.json()


def _raised(item: dict[str, Any]) -> Raised:
    return Raised(
        alert_id=item["id"],
        pump_id=item["pump_id"] or item["subject"],
        condition=item["condition"],
        priority=item["priority"],
        state=item["state"],
        raised_ms=round(datetime.fromisoformat(item["raised_at"]).timestamp() * 1000),
        found_late=item["found_late"],
        told_by=item["inhibited_by"],
    )
