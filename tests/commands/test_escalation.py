"""`pumpwatch escalation`: policies from files, refused with field and reason, and the preview."""

import json
from pathlib import Path

from tests.commands.here import ran_beside

POLICY = {"steps": [{"after_s": 0, "targets": ["endpoint:*"]}, {"after_s": 300, "targets": ["contact:ada"]}]}


async def test_documents_are_put_shown_previewed_and_deleted(postgres_url: str, tmp_path: Path) -> None:
    async def escalation(*words: object) -> tuple[int, str]:
        ended = await ran_beside("escalation", *words, "--database-url", postgres_url)
        return ended.code, ended.out or ended.err

    async def put(kind: str, *name: object, document: object) -> tuple[int, str]:
        file = tmp_path / "document.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        return await escalation("put", kind, *name, "--file", file)

    assert await put("policy", "ward", document=POLICY) == (2, "steps[1].targets: there is no contact 'ada'\n")
    without = POLICY | {"steps": POLICY["steps"][:1]}
    assert await put("policy", "ward", document=without) == (0, "policy ward is version 1\n")
    stale = "version: the stored one is 1, not 0: somebody else has changed it; look at it again\n"
    assert await put("policy", "ward", "--if-version", 0, document=without) == (1, stale)
    assert (await escalation("delete", "policy", "ward", "--if-version", 2))[0] == 1
    assert await put("policy", "ward", document={"steps": []}) == (2, "steps: Expected `array` of length >= 1\n")
    assert await put("rules", document={"rules": [{"policy": "ward"}]}) == (0, "the rules are version 1\n")
    assert await escalation("delete", "policy", "ward") == (1, "policy ward is named by the rules\n")
    code, shown = await escalation("show", "policy", "ward")
    assert (code, json.loads(shown)["steps"]) == (0, [{"after_s": 0.0, "targets": ["endpoint:*"]}])
    _, listed = await escalation("show", "policy")
    assert listed.splitlines()[1].split()[:2] == ["ward", "1"]
    code, would = await escalation("preview", "--priority", "high", "--at", "2026-11-22T20:00:00Z")
    assert (code, would.splitlines()[0]) == (0, "policy everybody (the policy ward reaches no endpoint: everybody)")
    assert await put("rules", document={"rules": []}) == (0, "the rules are version 2\n")
    assert await escalation("delete", "policy", "ward") == (0, "deleted policy ward\n")
    assert await escalation("show", "policy", "ward") == (1, "there is no policy ward\n")
