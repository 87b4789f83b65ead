"""A fleet's certificates are looked for before it begins."""

from pathlib import Path

from simulators.certificates import Certificates


def test_what_is_missing_is_named_and_the_rest_counted(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    said = certificates.problem(["p1", "p2"])
    assert said == f"{tmp_path / 'ca.crt'} and 4 more: not there; `pumpwatch ca` issues certificates"
    for name in ("ca.crt", "p1.pem", "p1.key"):
        (tmp_path / name).touch()
    assert certificates.problem(["p1"]) == ""
    assert certificates.problem(["p1", "p2"]).startswith(f"{tmp_path / 'p2.pem'} and 1 more")
