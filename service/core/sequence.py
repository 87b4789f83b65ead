"""Which positions of one pump do we hold, which are missing, and what may be evaluated and receipted?

A pump's positions are dense within a boot, so a position at or below `through` that is not known as lost is stored:
duplicates are recognised here, before the store sees them. Stored runs beyond a hole are *islands*: they wait until the
hole closes, until the pump says that it no longer holds what is missing (`held_from`), or until patience ends.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from service.core.reading import boot_of, seq_of
from service.core.spans import Span, find, insert, joins, without

PATIENCE_MS: Final = 45_000
MOST_SPANS: Final = 256
"""Islands of one pump, beyond which nothing that would make another is taken: the pump keeps it and sends it again.
Lost spans that are remembered: what comes of older ones all the same is taken for a duplicate."""
NOTHING: Final = -1


class Gap(NamedTuple):
    from_position: int
    to_position: int
    lost: bool  # the pump no longer holds it


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of one pump's sequence."""

    through: int = NOTHING  # all of it up to here is stored, or lost for good
    evaluated: int = NOTHING  # the rules have seen it up to here
    islands: tuple[Span, ...] = ()  # stored beyond a hole
    lost: tuple[Span, ...] = ()
    hole_since_ms: int = 0
    patience_over: bool = False

    @property
    def missing(self) -> list[Gap]:
        """Every span that never came: lost ones, and holes that patience has given up waiting for."""
        gaps = [Gap(first, last, lost=True) for first, last in self.lost]
        if self.patience_over:
            before = self.through
            for first, last in self.islands:
                start = before + 1 if boot_of(before) == boot_of(first) else first - seq_of(first)
                if start < first:
                    gaps.append(Gap(start, first - 1, lost=False))
                before = last
        return gaps

    @property
    def may_evaluate(self) -> int:
        """Everything stored up to here may be evaluated."""
        return self.islands[-1][1] if self.islands and self.patience_over else self.through


class Admitted(NamedTuple):
    """What became of one pump's positions, in their order."""

    account: Account
    stored: list[bool]  # new: to be stored; else a duplicate
    now: bool  # evaluate the new ones at once
    from_store: bool  # evaluate from the store once committed, since earlier ones wait there
    rebuild_from: int  # lowest position that came after its successors were evaluated, or NOTHING


def admit(
    account: Account,
    positions: Sequence[int],
    held_from: int,
    now_ms: int,
    never_stored: Collection[int] = (),
    *,
    behind: bool = False,
) -> Admitted:
    """Enter `positions` (sorted, of one pump) into its account. `held_from` is NOTHING where the pump did not say.

    `never_stored`: positions of earlier boots that the store does not hold. What a boot ended with is unknowable, so
    that they lie below `through` does not make them duplicates. `behind`: earlier ones are yet to be evaluated.
    """
    absent = set(never_stored)
    if account == Account():
        base = held_from if 0 <= held_from <= positions[0] else positions[0]
        account = Account(through=base - 1, evaluated=base - 1)
    islands, lost = list(account.islands), list(account.lost)
    stored: list[bool] = []
    rebuild_from = NOTHING
    for position in positions:
        known = position <= account.through or find(islands, position) is not None
        at = find(lost, position)
        if position in absent and boot_of(position) < boot_of(account.through) and at is None:
            absent.remove(position)
            stored.append(True)
            rebuild_from = position if rebuild_from == NOTHING else min(rebuild_from, position)
            continue
        if not known and len(islands) >= MOST_SPANS and not joins(islands, account.through, position):
            stored.append(False)
            continue
        if known and at is None:
            stored.append(False)
            continue
        stored.append(True)
        if at is not None:
            lost[at : at + 1] = without(lost[at], position)
        else:
            insert(islands, position)
        if position <= account.evaluated and rebuild_from == NOTHING:
            rebuild_from = position
    through, islands, newly_lost = _settle(account.through, islands, held_from)
    lost = sorted({*lost, *newly_lost})[-MOST_SPANS:]
    after = _with_hole(account, through, islands, lost, now_ms)
    return _decide(account, after, stored, rebuild_from, behind=behind)


def wait_no_longer(account: Account, now_ms: int) -> Account | None:
    """The account once patience has ended, or None while there is still cause to wait."""
    if not account.islands or account.patience_over or now_ms - account.hole_since_ms < PATIENCE_MS:
        return None
    return replace(account, patience_over=True)


def restore(
    through: int,
    evaluated: int,
    runs: Iterable[Span],
    lost: Sequence[Span],
    now_ms: int,
    *,
    patience_over: bool = False,
) -> Account:
    """The account of a pump whose checkpoint covers `through` and `evaluated`, and whose stored runs beyond it are
    `runs`.
    """
    islands: list[Span] = []
    for first, last in runs:
        start = max(first, through + 1)
        if start <= last:
            islands.append((start, last))
    for first, last in sorted(lost):
        while islands and islands[0][0] == through + 1:
            through = islands.pop(0)[1]
        if first == through + 1 or (seq_of(first) == 0 and boot_of(first) > boot_of(through)):
            through = max(through, last)
    through, islands, _ = _settle(through, islands, NOTHING)
    account = _with_hole(Account(through, evaluated), through, islands, list(lost), now_ms)
    return replace(account, patience_over=patience_over and bool(account.islands))


def receipt_of(through: int) -> tuple[int, int] | None:
    """(boot, seq) of the receipt that `through` allows, or None where nothing can be said.

    While the first reading of a boot is missing it names the very last position that the boot before can have: so the
    pump learns that it has to send this boot from its beginning.
    """
    if through < 0:
        return None
    return boot_of(through), seq_of(through)


def _decide(before: Account, after: Account, stored: list[bool], rebuild_from: int, *, behind: bool) -> Admitted:
    if rebuild_from != NOTHING:
        return Admitted(after, stored, now=False, from_store=False, rebuild_from=rebuild_from)
    target = after.may_evaluate
    waiting = behind or any(last > before.evaluated and first <= target for first, last in before.islands)
    return Admitted(
        after, stored, now=not waiting, from_store=waiting and target > before.evaluated, rebuild_from=NOTHING
    )


def _with_hole(account: Account, through: int, islands: list[Span], lost: list[Span], now_ms: int) -> Account:
    if not islands:
        return Account(through, account.evaluated, (), tuple(lost))
    since_ms = account.hole_since_ms if account.islands else now_ms
    over = (account.patience_over and bool(account.islands)) or now_ms - since_ms >= PATIENCE_MS
    return Account(through, account.evaluated, tuple(islands), tuple(lost), since_ms, over)


def _settle(through: int, islands: list[Span], held_from: int) -> tuple[int, list[Span], list[Span]]:
    """Move `through` over what is stored, and over what the pump says it no longer holds."""
    lost: list[Span] = []
    while True:
        first = islands[0][0] if islands else None
        if first is not None and (
            first == through + 1 or (seq_of(first) == 0 and boot_of(first) > boot_of(through) and held_from >= first)
        ):
            through = islands.pop(0)[1]
        elif held_from > through + 1:
            until = held_from if first is None else min(held_from, first)
            # What an earlier boot may have ended with is unknowable: a reboot is not a gap.
            start = through + 1 if boot_of(through + 1) == boot_of(until) else until - seq_of(until)
            if start < until:
                lost.append((start, until - 1))
            through = until - 1
        else:
            return through, islands, lost
