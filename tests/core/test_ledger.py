"""The ledger of all pumps: what goes on in order is judged together, and as it would be alone."""

import numpy as np
import pytest

from service.core.ledger import Ledger
from service.core.sequence import NOTHING, PATIENCE_MS, Account, admit
from tests.core.test_sequence import FIRST, at


def plan(ledger: Ledger, row: int, *positions: int, held_from: int = FIRST, now_ms: int = 0):  # noqa: ANN201
    count = len(positions)
    rows, wanted = np.full(count, row, np.intp), np.array(positions, np.int64)
    admission = ledger.plan(rows, wanted, np.full(count, held_from, np.int64), now_ms)
    ledger.publish(np.array([row], np.intp), admission)
    ledger.evaluated[row] = max(ledger.evaluated[row], *(wanted[admission.evaluated].tolist() or [NOTHING]))
    return admission


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(3)


def test_the_columns_and_the_single_accounts_judge_alike(ledger: Ledger) -> None:
    plan(ledger, 1, at(0), at(1))
    assert plan(ledger, 1, at(2), at(3)).accounts == {}, "in order: nobody looked at it alone"
    admission = plan(ledger, 1, at(3), at(5))
    assert (admission.duplicates, admission.repeated, admission.holes_noticed) == (1, [1], [1])
    assert plan(ledger, 1, at(4)).holes_closed == [1]
    assert ledger.through[1] == at(5)


def test_pumps_that_only_repeat_and_go_on_are_judged_together_and_as_they_would_be_alone(ledger: Ledger) -> None:
    for row in range(3):
        plan(ledger, row, at(0), at(1), at(2))
    plan(ledger, 2, at(4), held_from=at(4))  # what lies before it is lost
    rows = np.array([0, 0, 0, 0, 1, 1, 2, 2], np.intp)
    positions = np.array([at(1), at(2), at(3), at(3), at(0), at(1), at(4), at(5)], np.int64)
    admission = ledger.plan(rows, positions, np.full(8, at(0), np.int64), 0)
    assert admission.stored.tolist() == [False, False, True, False, False, False, False, True]
    assert np.array_equal(admission.evaluated, admission.stored)
    assert (admission.duplicates, sorted(admission.repeated)) == (6, [0, 1, 2])
    assert admission.through.tolist() == [at(3), at(2), at(5)]
    assert list(admission.accounts) == [2], "only the one that has lost something was looked at alone"
    for row in range(2):
        own = rows == row
        alone = admit(ledger.account(row), positions[own].tolist(), at(0), 0)
        assert (alone.stored, alone.account.through) == (admission.stored[own].tolist(), admission.through[row])


def test_a_lost_span_is_remembered_while_the_pump_goes_on_in_order(ledger: Ledger) -> None:
    plan(ledger, 0, at(0))
    plan(ledger, 0, at(3), held_from=at(3))
    plan(ledger, 0, at(4))
    plan(ledger, 0, at(5))
    assert ledger.account(0).lost == ((at(1), at(2)),)
    assert plan(ledger, 0, at(1)).rebuild == {0: at(1)}


def test_only_pumps_whose_patience_has_ended_are_overdue(ledger: Ledger) -> None:
    plan(ledger, 0, at(0), at(2), now_ms=0)
    plan(ledger, 1, at(0), at(2), now_ms=30_000)
    assert list(ledger.overdue(PATIENCE_MS)) == [0]


def test_new_pumps_leave_known_ones_as_they_are(ledger: Ledger) -> None:
    plan(ledger, 2, at(0), at(4))
    ledger.grow(10)
    assert ledger.account(2).islands == ((at(4), at(4)),)
    assert ledger.account(9) == Account()
