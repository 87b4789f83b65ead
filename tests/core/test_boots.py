"""Boots that are over, and boots that cannot be."""

import numpy as np

from service.core.boots import MOST_BOOTS_AHEAD, earlier, impossible
from service.core.reading import position_of

THROUGH = np.array([position_of(7, 100), -1])


def test_an_item_is_of_an_earlier_boot_only_where_a_later_one_was_heard() -> None:
    positions = np.array([position_of(6, 5), position_of(7, 5), position_of(8, 0), position_of(6, 5)])
    assert earlier(THROUGH[[0, 0, 0, 1]], positions).tolist() == [True, False, False, False]


def test_a_leap_of_more_boots_than_there_can_be_is_impossible_except_for_a_pump_never_heard() -> None:
    far = MOST_BOOTS_AHEAD + 8
    positions = np.array([position_of(far - 1, 0), position_of(far, 0), position_of(far, 0)])
    assert impossible(THROUGH[[0, 0, 1]], positions).tolist() == [False, True, False]
