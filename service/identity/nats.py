"""How is NATS told who may say and hear what? A user a certificate, by the URI in it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from service.core.shards import SHARDS
from service.identity.brokers import MAX_PAYLOAD_BYTES, UNSETTLED_AT_MOST, UNSETTLED_FOR_S, Broker, rights_of
from service.identity.cabinet import CERTIFICATE, Entry
from service.identity.names import Part

SETTINGS_FILE, LIST_FILE = "nats.conf", "users.conf"
MAPPINGS: Final = f"""\
    mappings: {{
      "pumps.v1.*.*": "shard.{{{{partition({SHARDS},1)}}}}.pumps.v1.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}"
    }}
"""
SETTINGS: Final = """\
# For nats-server 2.14.4 or newer. Yours to change; `pumpwatch ca broker nats` writes users.conf anew and leaves this.
server_name: pumpwatch
# Plain NATS and the monitoring page: for this machine alone. No user below may come in by plain NATS.
listen: "127.0.0.1:4222"
http: "127.0.0.1:8222"
max_payload: {max_payload}
jetstream {{
  store_dir: "{at}/store"
  # At most this much waits for the service. "always" survives a power cut, and is six times slower.
  max_file_store: 10GB
  sync_interval: "1s"
}}
mqtt {{
  listen: "0.0.0.0:{port}"
  max_ack_pending: {unsettled}
  ack_wait: "{unsettled_s}s"
  tls {{
    cert_file: "{at}/server.pem"
    key_file: "{at}/server.key"
    ca_file: "{at}/{ca}"
    verify_and_map: true
    min_version: "1.2"
    timeout: 10
  }}
}}
include "{users}"
"""


def settings(at: Path, port: int) -> str:
    return SETTINGS.format(
        max_payload=MAX_PAYLOAD_BYTES,
        at=at,
        port=port,
        unsettled=UNSETTLED_AT_MOST,
        unsettled_s=UNSETTLED_FOR_S,
        ca=CERTIFICATE,
        users=LIST_FILE,
    )


def users(entries: Sequence[Entry], *, by_shard: bool = False) -> str:
    """The accounts. NATS has no list of revocations: whoever is not in here does not come in.

    `by_shard`: the broker maps what pumps say to shards, and asks for the right to the mapped subject.
    """
    lines = ",\n".join(f"      {json.dumps(_user(entry, by_shard=by_shard))}" for entry in entries)
    mappings = MAPPINGS if by_shard else ""
    return f"accounts {{\n  PUMPWATCH {{\n    jetstream: enabled\n{mappings}    users: [\n{lines}\n    ]\n  }}\n}}\n"


def users_by_shard(entries: Sequence[Entry]) -> str:
    return users(entries, by_shard=True)


def _user(entry: Entry, *, by_shard: bool) -> dict[str, Any]:
    rights = rights_of(entry.holder)
    says, hears = ([_subject(topic, by_shard=by_shard) for topic in topics] for topics in (rights.says, rights.hears))
    if entry.part is Part.INGEST and by_shard:
        hears += ["pumps", "pumps.>"]  # what the mapping leaves as it is: shard 0 hears that too
    if entry.part is not None and hears:
        hears.append("$MQTT.sub.>")  # how a session at QoS 1 is given its messages
    return {
        "user": entry.holder.uri_of(entry.number),
        "allowed_connection_types": ["MQTT"],
        "permissions": {
            "publish": {"allow": says} if says else {"deny": ">"},
            "subscribe": {"allow": hears} if hears else {"deny": ">"},
        },
    }


def _subject(topic: str, *, by_shard: bool) -> str:
    subject = topic.replace("/", ".").replace("+", "*").replace("#", ">")
    return f"shard.*.{subject}" if by_shard and topic.startswith("pumps/") else subject


FILES: Final = Broker(SETTINGS_FILE, settings, LIST_FILE, users)
FILES_BY_SHARD: Final = replace(FILES, list_=users_by_shard)
