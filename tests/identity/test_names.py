"""Who a certificate speaks for, as it is written in it."""

import pytest

from service.identity.names import NameRefusedError, Part, part_named, pump, server


def test_no_pump_is_called_as_a_part_of_the_service_is() -> None:
    assert pump("ingest").common_name == "ingest"
    assert pump("ingest").uri == "urn:pump:ingest"
    assert part_named(Part.INGEST).common_name == "service.ingest"
    assert part_named(Part.INGEST, "ingest-2").uri == "urn:pumpwatch:ingest-2"


def test_each_certificate_of_a_pump_has_a_name_of_its_own_beside_the_pumps() -> None:
    assert pump("p1").uri_of(255) == "urn:pump:p1:ff"


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "+", "#", "*", "p 1", "p1\n", "ü", "x" * 65, "service.ingest"])
def test_what_no_topic_could_hold_is_no_pump(name: str) -> None:
    with pytest.raises(NameRefusedError, match="no pump's id"):
        pump(name)


def test_a_part_has_a_name_that_fits_into_a_certificate() -> None:
    assert len(part_named(Part.WATCH, "x" * 40).common_name) <= 64
    with pytest.raises(NameRefusedError):
        part_named(Part.WATCH, "x" * 41)


@pytest.mark.parametrize("host", ["broker.example", "10.0.0.1", "::1", "localhost"])
def test_a_server_has_a_name_or_an_address(host: str) -> None:
    assert server(host).name == host


@pytest.mark.parametrize("host", ["../key", "a b", "", "-a", "a..b", "*.example"])
def test_what_is_no_host_is_no_server(host: str) -> None:
    with pytest.raises(NameRefusedError):
        server(host)
