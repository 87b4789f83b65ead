"""What is in a certificate, and what an authority refuses."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from service.identity.authority import Authority, AuthorityError, Issued
from service.identity.names import Holder, node, pump, server

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("test authority", NOW, 10 * YEAR)


def issued(authority: Authority, holder: Holder, **given: object) -> Issued:
    return authority.issue(holder, NOW, YEAR, **given)  # type: ignore[arg-type]


def certificate(made: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.certificate)


def test_a_pumps_certificate_is_for_a_client_and_names_the_pump(authority: Authority) -> None:
    made = issued(authority, pump("p000001"))
    verifier = PolicyBuilder().store(Store([authority.certificate])).time(NOW).build_client_verifier()
    verified = verifier.verify(certificate(made), [])

    assert [name.value for name in verified.subjects or []] == ["urn:pump:p000001", f"urn:pump:p000001:{made.serial:x}"]
    assert certificate(made).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "p000001"
    purposes = certificate(made).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate(made).extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_it_works_within_its_time_alone(authority: Authority) -> None:
    made = issued(authority, pump("p000001"))
    store = Store([authority.certificate])
    for at in (NOW + YEAR + timedelta(days=1), NOW - timedelta(hours=2)):
        with pytest.raises(VerificationError):
            PolicyBuilder().store(store).time(at).build_client_verifier().verify(certificate(made), [])
    PolicyBuilder().store(store).time(NOW - timedelta(minutes=50)).build_client_verifier().verify(certificate(made), [])


def test_a_server_is_verified_by_each_of_its_names(authority: Authority) -> None:
    made = issued(authority, server("broker.example"), hosts=["broker.example", "127.0.0.1"])
    builder = PolicyBuilder().store(Store([authority.certificate])).time(NOW)
    builder.build_server_verifier(x509.DNSName("broker.example")).verify(certificate(made), [])
    with pytest.raises(VerificationError):
        builder.build_server_verifier(x509.DNSName("other.example")).verify(certificate(made), [])
    with pytest.raises(VerificationError):
        builder.build_client_verifier().verify(certificate(made), [])


def test_a_node_of_a_cluster_calls_and_is_called_by_the_same_certificate(authority: Authority) -> None:
    made = issued(authority, node("nats-1"), hosts=["nats-1", "10.0.0.1"])
    builder = PolicyBuilder().store(Store([authority.certificate])).time(NOW)
    builder.build_client_verifier().verify(certificate(made), [])
    for place in (x509.DNSName("nats-1"), x509.IPAddress(ip_address("10.0.0.1"))):
        builder.build_server_verifier(place).verify(certificate(made), [])
    with pytest.raises(VerificationError):
        builder.build_server_verifier(x509.DNSName("nats-2")).verify(certificate(made), [])


def test_of_a_request_nothing_is_taken_but_the_key(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    wish = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "service.ingest")])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(wish)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    made = issued(authority, pump("p000001"), request_pem=request)
    assert made.key is None
    assert certificate(made).public_key() == key.public_key()
    assert certificate(made).subject.rfc4514_string() == "CN=p000001"
    assert not certificate(made).extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_weak_key_and_what_is_no_request_are_refused(authority: Authority) -> None:
    weak = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    pem = weak.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(AuthorityError, match="2048 bits"):
        issued(authority, pump("p1"), request_pem=pem)
    with pytest.raises(AuthorityError, match="no PKCS #10 request"):
        issued(authority, pump("p1"), request_pem=b"-----BEGIN nothing-----")


def test_nothing_outlives_the_authority(authority: Authority) -> None:
    with pytest.raises(AuthorityError, match="would outlive the authority, which ends on 2036-11-20"):
        authority.issue(pump("p1"), NOW, 11 * YEAR)


def test_an_authority_is_its_key_and_certificate_together(authority: Authority) -> None:
    again = Authority.loaded(authority.key_pem, authority.certificate_pem)
    assert again.certificate == authority.certificate
    other = Authority.new("another", NOW, YEAR)
    with pytest.raises(AuthorityError, match="not the one of the certificate"):
        Authority.loaded(other.key_pem, authority.certificate_pem)
    with pytest.raises(AuthorityError, match="no key and certificate"):
        Authority.loaded(b"", authority.certificate_pem)


def test_the_list_of_revocations_is_signed_and_names_serials(authority: Authority) -> None:
    listed = x509.load_pem_x509_crl(authority.revocations([(255, NOW)], NOW, timedelta(days=30)))
    assert [one.serial_number for one in listed] == [255]
    assert listed.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]
    assert listed.next_update_utc == NOW + timedelta(days=30)
