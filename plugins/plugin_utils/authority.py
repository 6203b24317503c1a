# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys and certificates on the controller: read, and issued. The one place that imports cryptography; nothing is decided here.

All keys are P-256, all signatures ECDSA with SHA-256. A certificate is for one use: that of an engine is of no use to a client, and the
other way round (RFC 5280, section 4.2.1.12).
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence

from ansible_collections.slipway.docker.plugins.module_utils._certificate import blocks
from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import MissingLibrary
from ansible_collections.slipway.docker.plugins.plugin_utils.certificate import (
    BACKDATED,
    CLIENT,
    DAY,
    KIND,
    SERVER,
    Certificate,
)

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    USAGES = {SERVER: ExtendedKeyUsageOID.SERVER_AUTH, CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH}
    TROUBLE = ""
except ImportError as error:
    TROUBLE = str(error)

LONGEST_NAME = 64  # of a common name: RFC 5280, appendix A.1


def require() -> None:
    """Raise MissingLibrary where cryptography is not there, or too old to verify who signed a certificate."""
    why = TROUBLE or ("" if hasattr(x509.Certificate, "verify_directly_issued_by") else "it is older than 40.0")
    if why:
        raise MissingLibrary(
            "the Python library cryptography", why, "on the controller: python3 -m pip install 'cryptography>=40'"
        )


# -- read ----------------------------------------------------------------------------------------------------------


def certificates(pem: str) -> list[Certificate]:
    """The certificates of a text, in its order; raises ValueError with what is wrong with it."""
    if "-----BEGIN" not in pem:
        raise ValueError("is empty" if not pem.strip() else "is no PEM")
    found = [text for label, text in blocks(pem) if label == "CERTIFICATE"]
    if len(found) != pem.count("-----BEGIN CERTIFICATE-----"):
        raise ValueError("is cut off in the middle of a certificate")
    if not found:
        raise ValueError("holds no certificate")
    try:
        return [_certificate(x509.load_pem_x509_certificate(text.encode())) for text in found]
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is damaged") from None


def _certificate(found: x509.Certificate) -> Certificate:
    usages, names, is_ca = set(), [], False
    for extension in found.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage):
            usages = {next((name for name, oid in USAGES.items() if oid == one), one.dotted_string) for one in value}
        elif isinstance(value, x509.SubjectAlternativeName):
            names = [*value.get_values_for_type(x509.DNSName), *map(str, value.get_values_for_type(x509.IPAddress))]
        elif isinstance(value, x509.BasicConstraints):
            is_ca = value.ca
    key = found.public_key()
    return Certificate(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        begins=_seconds(found, "not_valid_before"),
        ends=_seconds(found, "not_valid_after"),
        names=tuple(sorted(names)),
        usages=frozenset(usages),
        is_ca=is_ca,
        key=_print(key),
        kind=_kind(key),
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
        pem=found.public_bytes(serialization.Encoding.PEM).decode(),
    )


def _seconds(found: x509.Certificate, name: str) -> float:
    aware = getattr(found, f"{name}_utc", None)  # since 42.0
    return (aware or getattr(found, name).replace(tzinfo=datetime.timezone.utc)).timestamp()


def _print(public: ec.EllipticCurvePublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public.public_bytes(serialization.Encoding.DER, form))
    return digest.finalize().hex()


def _kind(key: object) -> str:
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        return KIND if isinstance(key.curve, ec.SECP256R1) else key.curve.name
    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        return f"RSA {key.key_size}"
    return type(key).__name__.strip("_").partition("P")[0]


def signer(certificate: Certificate, authorities: Sequence[Certificate]) -> str:
    """The fingerprint of the one among these who signed a certificate; empty when none did."""
    leaf = x509.load_pem_x509_certificate(certificate.pem.encode())
    for authority in authorities:
        try:
            leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem.encode()))
            return authority.fingerprint
        except (ValueError, TypeError, InvalidSignature):
            continue
    return ""


def private_key(pem: str) -> tuple[str, str]:
    """(public key's print, kind) of a private key; raises ValueError with what is wrong with it."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise ValueError("is encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is no private key in PEM" if pem.strip() else "is empty") from None
    return _print(key.public_key()), _kind(key)


def public_key(pem: str) -> tuple[str, str]:
    """(print, kind) of a public key; raises ValueError when it is none."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is no public key in PEM") from None
    return _print(key), _kind(key)


# -- issue ---------------------------------------------------------------------------------------------------------


def new_key() -> str:
    """A new private key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_of(private: str) -> str:
    """The public key of a private one, in PEM."""
    return _public(serialization.load_pem_private_key(private.encode(), None).public_key())


def public_of_certificate(pem: str) -> str:
    """The public key of a certificate, in PEM."""
    return _public(x509.load_pem_x509_certificate(pem.encode()).public_key())


def _public(key: ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def new_authority(private: str, now: float, days: int) -> str:
    """The certificate, in PEM, of an authority with this key. Its name is its own, so that two of them can be told apart."""
    key = serialization.load_pem_private_key(private.encode(), None)
    public = key.public_key()
    subject = _name(f"Docker engines {_time(now):%Y-%m-%d} {_print(public)[:8]}")
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = (
        _builder(subject, subject, public, now, now + days * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def issue(
    authority: Certificate, private: str, public: str, usage: str, names: Sequence[str], now: float, days: int
) -> str:
    """A certificate, in PEM, for the key ``public``, signed with the authority's key ``private``.

    The first name is its common name; those of an engine are all its alternative names. It ends no later than the authority does.
    """
    key = serialization.load_pem_private_key(private.encode(), None)
    signing = x509.load_pem_x509_certificate(authority.pem.encode())
    own = serialization.load_pem_public_key(public.encode())
    bits = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    identifier = signing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(names[0][:LONGEST_NAME]), signing.subject, own, now, min(now + days * DAY, authority.ends))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(bits, critical=True)
        .add_extension(x509.ExtendedKeyUsage([USAGES[usage]]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
    )
    if usage == SERVER:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(_alternative, names)), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: float, ends: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(now - BACKDATED))
        .not_valid_after(_time(ends))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
