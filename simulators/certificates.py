"""With what does a pump show who it is? Its certificate and key, from a directory, as `pumpwatch ca` writes them."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

AUTHORITY: Final = "ca.crt"


@dataclass(frozen=True, slots=True)
class Certificates:
    """`ca.crt`, by which the broker is known, and `ID.pem` and `ID.key` of each pump."""

    directory: Path

    def problem(self, pump_ids: Iterable[str]) -> str:
        """What is missing; empty: nothing is."""
        names = [AUTHORITY, *(f"{pump_id}.{end}" for pump_id in pump_ids for end in ("pem", "key"))]
        missing = [name for name in names if not (self.directory / name).is_file()]
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        return f"{self.directory / missing[0]}{more}: not there; `pumpwatch ca` issues certificates" if missing else ""

    def context_of(self, pump_id: str) -> ssl.SSLContext:
        """Read at each connection, and not kept: a fleet's would fill the memory. Raises OSError."""
        context = ssl.create_default_context(cafile=str(self.directory / AUTHORITY))
        context.load_cert_chain(self.directory / f"{pump_id}.pem", self.directory / f"{pump_id}.key")
        return context
