"""How is a certificate made? By the authority of one installation, for one holder and one purpose."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from service.identity.names import Holder, Kind

CURVE: Final = ec.SECP256R1
BACKDATED: Final = timedelta(hours=1)
"""A pump's clock may be behind ours when it is given its certificate."""
LEAST_RSA_BITS: Final = 2048
_CALLED, _CALLS = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_PURPOSES: Final = {
    Kind.PUMP: (_CALLS,),
    Kind.PART: (_CALLS,),
    Kind.SERVER: (_CALLED,),
    Kind.NODE: (_CALLED, _CALLS),
}
_OF_HOSTS: Final = frozenset({Kind.SERVER, Kind.NODE})
"""These are known by where they are, the others by a URI."""


class AuthorityError(Exception):
    """The authority cannot do that. The text is one line, without a secret in it."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate, and its key if that was made here; both as PEM."""

    holder: Holder
    serial: int
    not_after: datetime
    certificate: bytes
    key: bytes | None


class Authority:
    """A key and a certificate that others are verified by."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @classmethod
    def new(cls, name: str, now: datetime, valid_for: timedelta) -> Self:
        key = ec.generate_private_key(CURVE())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key.public_key(), now, now + valid_for)
            .serial_number(x509.random_serial_number())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def loaded(cls, key_pem: bytes, certificate_pem: bytes) -> Self:
        """Raises AuthorityError."""
        try:
            key = serialization.load_pem_private_key(key_pem, None)
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except (ValueError, TypeError):
            raise AuthorityError("what is there is no key and certificate in PEM") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise AuthorityError("the key is not the one of the certificate")
        return cls(key, certificate)

    @property
    def key_pem(self) -> bytes:
        return _pem(self._key)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        holder: Holder,
        now: datetime,
        valid_for: timedelta,
        *,
        hosts: Sequence[str] = (),
        request_pem: bytes | None = None,
    ) -> Issued:
        """A certificate for `holder`; with a new key, or for the key of a request. Raises AuthorityError.

        Of a request nothing but its public key is taken: who it is for, is ours to say.
        """
        not_after = now + valid_for
        if not_after > self.certificate.not_valid_after_utc:
            raise AuthorityError(
                f"it would outlive the authority, which ends on {self.certificate.not_valid_after_utc:%Y-%m-%d}"
            )
        key = ec.generate_private_key(CURVE()) if request_pem is None else None
        public = key.public_key() if key is not None else _requested(request_pem or b"")
        serial = x509.random_serial_number()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, holder.common_name[:64])])
        names = (
            [_host(host) for host in hosts]
            if holder.kind in _OF_HOSTS
            else [x509.UniformResourceIdentifier(uri) for uri in (holder.uri, holder.uri_of(serial))]
        )
        certificate = (
            _builder(subject, self.certificate.subject, public, now, not_after)
            .serial_number(serial)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_PURPOSES[holder.kind]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Issued(holder, serial, certificate.not_valid_after_utc, pem, None if key is None else _pem(key))

    def revocations(self, revoked: Iterable[tuple[int, datetime]], now: datetime, valid_for: timedelta) -> bytes:
        """The signed list of what is taken back, as PEM."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - BACKDATED)
            .next_update(now + valid_for)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        )
        for serial, at in revoked:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey,
    now: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(not_after)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _requested(pem: bytes) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    try:
        request = x509.load_pem_x509_csr(pem)
        public = request.public_key()
        is_signed = request.is_signature_valid
    except (ValueError, InvalidSignature):
        raise AuthorityError("the request is no PKCS #10 request in PEM") from None
    if not is_signed:
        raise AuthorityError("the request is not signed with the key that it asks for")
    match public:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()) | ed25519.Ed25519PublicKey():
            return public
        case rsa.RSAPublicKey(key_size=bits) if bits >= LEAST_RSA_BITS:
            return public
    raise AuthorityError(f"the request's key must be P-256, P-384, Ed25519, or RSA of {LEAST_RSA_BITS} bits and more")


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
