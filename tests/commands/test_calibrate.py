"""`pumpwatch rules calibrate`: a limit, with the rate that it was found for, as a rulebook can keep it."""

from service.core.rulebook import Rulebook, parse_rulebook
from tests.commands.test_rules import pumpwatch

SMALL = ("rules", "calibrate", "--pump-years", "100", "--drift-tau-h", "6")


def test_the_limit_is_printed_as_part_of_a_rulebook_with_its_seed_and_interval() -> None:
    ran = pumpwatch(*SMALL, "--target", "0.05", "--seed", "3")
    assert ran.returncode == 0, ran.stderr
    rulebook = parse_rulebook(ran.stdout)
    assert isinstance(rulebook, Rulebook)
    assert 0.05 <= rulebook.limit("over_delivery", "decision") <= 0.2
    assert rulebook.limit("over_delivery", "decision") == rulebook.limit("under_delivery", "decision")
    assert "--seed 3" in ran.stdout
    assert "upper 0.0" in ran.stdout


def test_the_same_seed_gives_the_same_limit_and_a_rarer_rate_a_higher_one() -> None:
    limits = []
    for target in ("0.006", "0.006", "5"):
        asked = ("rules", "calibrate", "--pump-years", "600", "--drift-tau-h", "24", "--target", target)
        found = parse_rulebook(pumpwatch(*asked).stdout)
        assert isinstance(found, Rulebook)
        limits.append(found.limit("over_delivery", "decision"))
    assert limits[0] == limits[1] > limits[2]


def test_a_rate_that_no_limit_can_show_is_refused() -> None:
    ran = pumpwatch(*SMALL, "--target", "1e-6")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no limit up to" in ran.stderr
