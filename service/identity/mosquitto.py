"""How is Mosquitto told who may say and hear what? By the common name, in patterns, and by the list of revocations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from service.identity.brokers import MAX_PAYLOAD_BYTES, Broker, rights_of, rights_of_pump
from service.identity.cabinet import CERTIFICATE, REVOCATIONS, Entry

SETTINGS_FILE, LIST_FILE = "mosquitto.conf", "acl"
SETTINGS: Final = """\
# For Mosquitto 2.0 or newer. Yours to change; `pumpwatch ca broker mosquitto` writes the others anew and leaves this.
listener {port}
cafile {at}/{ca}
certfile {at}/server.pem
keyfile {at}/server.key
# Mosquitto lets nobody in once this list is older than 30 days: `pumpwatch ca broker mosquitto` every night.
crlfile {at}/{crl}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
# Nobody takes over the session of another by its client id.
use_username_as_clientid true
allow_anonymous false
acl_file {at}/{acl}
max_inflight_messages 0
max_queued_messages 0
max_packet_size {max_packet}
# What it has confirmed it loses when it is killed, whatever is set here: receipts bring it back.
persistence true
persistence_location {at}/
"""


def settings(at: Path, port: int) -> str:
    return SETTINGS.format(
        at=at, port=port, ca=CERTIFICATE, crl=REVOCATIONS, acl=LIST_FILE, max_packet=MAX_PAYLOAD_BYTES
    )


def rights(entries: Sequence[Entry]) -> str:
    """Pumps are as many as have certificates; parts of the service are listed."""
    pump = rights_of_pump("%u")
    lines = [f"pattern write {topic}" for topic in pump.says] + [f"pattern read {topic}" for topic in pump.hears]
    for holder in dict.fromkeys(entry.holder for entry in entries if entry.part is not None):
        lines += ["", f"user {holder.common_name}"]
        lines += [f"topic write {topic}" for topic in rights_of(holder).says]
        lines += [f"topic read {topic}" for topic in rights_of(holder).hears]
    return "\n".join(lines) + "\n"


FILES: Final = Broker(SETTINGS_FILE, settings, LIST_FILE, rights)
