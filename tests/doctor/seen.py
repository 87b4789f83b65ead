"""What a check has found, as tests look at it."""

from collections.abc import Iterable

from service.doctor.finding import Finding, Level


def told(findings: Iterable[Finding], level: Level = Level.PROBLEM) -> str:
    """What is so, and what is to be done, of all findings of a level."""
    return "\n".join(
        f"{finding.area}: {finding.what} -> {finding.do}" for finding in findings if finding.level is level
    )
