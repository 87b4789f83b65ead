"""Which pumps does this ingester watch, and where is each of them? One row a pump, columns for everything."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from service.core.change import Change, Turn
from service.core.ledger import Ledger
from service.core.limit_rows import LimitRows
from service.core.override import Whose
from service.core.pump_rules import PumpRules, Term, rules_for
from service.core.reading import ITEM
from service.core.rulebook import FACTS, PumpFacts, Rulebook
from service.core.state import FIELDS

_NO_RULES: Final = PumpRules({}, {}, {})


class PumpEntry(NamedTuple):
    """What the registry says of one pump; `key` is its row number in the database."""

    key: int
    pump_id: str
    facts: PumpFacts


class Fleet:
    """The pumps in memory. A pump's row number here is for life; nothing here is true that is not committed."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.use(rulebook)
        self.row_of: dict[bytes, int] = {}
        self.row_of_key: dict[int, int] = {}
        self.pump_ids: list[str] = []
        self.facts: list[PumpFacts] = []
        self.rules: list[PumpRules] = []  # those in force, of which the limits are a part
        self.rules_version: list[str] = []  # of the rulebook that brought them
        self.keys = np.zeros(0, np.int32)
        self.limits = LimitRows()
        self.state = np.zeros((0, FIELDS))
        self.ledger = Ledger(0)
        self.offset_ms = np.zeros(0, np.int64)
        self.offsets: dict[int, list[tuple[int, int]]] = {}  # row → (from position, offset), the newest of them
        self.newest_ms = np.zeros(0, np.int64)  # the newest pump time evaluated or recovered
        self.latest = np.zeros(0, ITEM)  # the newest reading of each pump
        self.boot_began_ms: dict[int, int] = {}  # row → when the newest boot began, of those that began before our eyes
        self.heard_ms = np.zeros(0, np.int64)  # our time of the newest message
        self.unsaved = np.zeros(0, np.bool_)  # heard since pump_latest was last written
        self.receipted = np.zeros(0, np.int64)
        self.receipted_ms = np.zeros(0, np.int64)
        self.checkpointed = np.zeros(0, np.int64)  # evaluated position of the last checkpoint
        self.checkpointed_ms = np.zeros(0, np.int64)
        self.behind = np.zeros(0, np.bool_)  # what is stored of the pump is not all evaluated yet
        self.unlearned: set[int] = set()  # rows whose state is yet to be worked out: nothing of them is evaluated
        self.held: set[int] = set()  # rows with a delayed finding that is not announced yet

    def __len__(self) -> int:
        return len(self.pump_ids)

    def use(self, rulebook: Rulebook) -> None:
        """Judge by `rulebook` which rules are due from now on; those in force stay so until they are adopted."""
        self.rulebook = rulebook
        self.delayed_after_ms = rulebook.limit("announce", "delayed_after_s") * 1000
        self._kinds: dict[Whose, PumpRules] = {}

    def enter(self, entries: Sequence[PumpEntry]) -> None:
        """Add pumps, or take over what the registry now says of known ones; at once, and without a trace."""
        self.add(entries)
        self.adopt({self.row_of_key[entry.key]: term for entry, term in zip(entries, self.due(entries), strict=True)})
        for entry in entries:
            self.facts[self.row_of_key[entry.key]] = entry.facts

    def add(self, entries: Sequence[PumpEntry]) -> None:
        """Add those that are not known yet. No limits are in force for them."""
        new = [entry for entry in entries if entry.key not in self.row_of_key]
        if not new:
            return
        self._grow(len(self) + len(new))
        for entry in new:
            row = len(self.pump_ids)
            self.pump_ids.append(entry.pump_id)
            self.facts.append(entry.facts)
            self.rules.append(_NO_RULES)
            self.rules_version.append("")
            self.row_of[entry.pump_id.encode()] = row
            self.row_of_key[entry.key] = row
            self.keys[row] = entry.key

    def forget(self, rows: Collection[int]) -> None:
        """These pumps are watched by another ingester now. Their rows stay, and nothing comes of them any more."""
        some = list(rows)
        for row in some:
            del self.row_of[self.pump_ids[row].encode()], self.row_of_key[int(self.keys[row])]
            self.offsets.pop(row, None)
        self.unsaved[some] = self.behind[some] = False
        self.ledger.forget(some)
        self.receipted[some] = self.ledger.through[some]
        self.checkpointed[some] = self.ledger.evaluated[some]
        self.unlearned.difference_update(some)
        self.held.difference_update(some)

    def due(self, entries: Sequence[PumpEntry]) -> list[Term]:
        """By what each of these pumps, which are known, is to be judged after its evaluated position."""
        terms = []
        for entry in entries:
            facts = entry.facts
            whose = self.rulebook.kind(Whose(facts.drug_class, facts.site, entry.pump_id))
            if whose not in self._kinds:
                self._kinds[whose] = rules_for(self.rulebook, whose)
            at = int(self.ledger.evaluated[self.row_of_key[entry.key]])
            terms.append(
                Term(at, self.rulebook.version, self._kinds[whose], tuple(float(getattr(facts, n)) for n in FACTS))
            )
        return terms

    def hold(self, changes: Iterable[Change]) -> None:
        """Delayed findings among these are in force: they are announced once their pumps have caught up."""
        self.held.update(
            self.row_of_key[change.pump] for change in changes if change.delayed and change.turn is not Turn.ENDED
        )

    def is_unjudged(self, entry: PumpEntry) -> bool:
        """Whether no rules were ever in force for the pump."""
        return self.rules[self.row_of_key[entry.key]] is _NO_RULES

    def is_new(self, row: int, term: Term) -> bool:
        """Whether the term would change by what the pump of `row` is judged."""
        if self.rules[row] is not term.rules and self.rules[row] != term.rules:
            return True
        return not np.array_equal(self.limits.facts_of(row), np.array(term.facts), equal_nan=True)

    def adopt(self, terms: dict[int, Term]) -> None:
        """These terms are in force, by row: what is evaluated from now on is judged by them."""
        by_rules: dict[int, list[int]] = {}
        for row, term in terms.items():
            self.rules[row], self.rules_version[row] = term.rules, term.rulebook_version
            by_rules.setdefault(id(term.rules), []).append(row)
        for rows in by_rules.values():
            self.limits.adopt(rows, terms[rows[0]])
        if terms:
            self.limits.know(list(terms), [term.facts for term in terms.values()])

    def ruled(self, change: Change) -> Change:
        """The change, with what the rules in force for its pump say of it."""
        row = self.row_of_key[change.pump]
        return replace(change, ruled=self.rules[row].ruled(change, self.rules_version[row]))

    def _grow(self, pumps: int) -> None:
        added = pumps - len(self)
        for name in (
            "keys",
            "offset_ms",
            "newest_ms",
            "latest",
            "heard_ms",
            "unsaved",
            "behind",
            "receipted",
            "receipted_ms",
            "checkpointed",
            "checkpointed_ms",
        ):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(added, column.dtype)]))
        self.limits.grow(pumps)
        self.state = np.concatenate([self.state, np.zeros((added, FIELDS))])
        self.receipted[-added:] = self.checkpointed[-added:] = -1
        self.latest["position"][-added:] = -1
        self.ledger.grow(pumps)
