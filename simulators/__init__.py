"""Simulated pumps, their faults and a clinic. Never imports `service`: the two meet on the wire (docs/interface.md)."""
