"""Payloads as they are on the wire, and what they mean: the service reads them, the simulator writes them.

`NAME.json` and `NAME.msgpack` hold the same message; `expected.json` says what it becomes, in stored precision.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Golden:
    """`expected` has `kind`, and for a status `online`; else `held_from` (a position), `simulated` and `columns`.

    `columns` are one entry a reading (one for an event, which has `type` and `value` too); null: the pump does not say.
    An event's `body` holds the keys that are kept of it.
    """

    name: str
    json: bytes
    msgpack: bytes
    expected: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.expected["kind"])


def golden() -> list[Golden]:
    expected = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
    return [
        Golden(name, (HERE / f"{name}.json").read_bytes(), (HERE / f"{name}.msgpack").read_bytes(), said)
        for name, said in expected.items()
    ]
