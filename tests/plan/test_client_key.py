"""Client certificates and their keys: what cannot be used is found before a run, and each problem says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate

from atm.errors import Problem, SpecError
from atm.plan.compile import compile_plan
from atm.testing.certificates import Authority, CertificateFiles


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return Authority(tmp_path_factory.mktemp("one")).client("one")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return Authority(tmp_path_factory.mktemp("two")).client("two")


def problems(**tls: str) -> list[Problem]:
    spec = {"name": "checkout", "url": "https://h/", "load": {"users": 1}, "duration": "1s", "tls": tls}
    try:
        compile_plan(spec, {}, read_tls_file=lambda name: Path(name).read_bytes())
    except SpecError as error:
        return list(error.problems)
    return []


def test_a_key_that_belongs_to_its_certificate_is_taken_from_one_file_or_two(
    client: CertificateFiles, tmp_path: Path
) -> None:
    assert problems(cert=str(client.certificate), key=str(client.key)) == []
    both = tmp_path / "both.pem"
    both.write_bytes(client.certificate.read_bytes() + client.key.read_bytes())
    assert problems(cert=str(both)) == []


def test_an_encrypted_key_is_refused(client: CertificateFiles, tmp_path: Path) -> None:
    key = load_pem_private_key(client.key.read_bytes(), None)
    formats = (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL)
    for number, form in enumerate(formats):
        file = tmp_path / f"{number}.key"
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, BestAvailableEncryption(b"secret")))
        (problem,) = problems(cert=str(client.certificate), key=str(file))
        assert (problem.what, problem.code) == (
            "the key is encrypted; give it without a passphrase",
            "bad_client_key",
        )
        assert problem.path == "tls.key"
        assert "openssl pkey" in problem.hint


def test_the_key_of_another_certificate_is_refused(client: CertificateFiles, other: CertificateFiles) -> None:
    (problem,) = problems(cert=str(client.certificate), key=str(other.key))
    assert problem.what == "the key does not belong to the certificate"


def test_what_is_marked_as_pem_and_is_none_is_refused(client: CertificateFiles, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (problem,) = problems(cert=str(client.certificate), key=str(broken))
    assert problem.what.startswith("unreadable PEM key")
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (problem,) = problems(cert=str(broken), key=str(client.key))
    assert (problem.path, problem.code) == ("tls.cert", "bad_client_certificate")


def test_pkcs12_has_the_hint_that_makes_both_of_it(client: CertificateFiles, tmp_path: Path) -> None:
    file = tmp_path / "client.p12"
    key = load_pem_private_key(client.key.read_bytes(), None)
    certificate = load_pem_x509_certificate(client.certificate.read_bytes())
    file.write_bytes(pkcs12.serialize_key_and_certificates(b"x", key, certificate, None, serialization.NoEncryption()))  # type: ignore[arg-type]  # an elliptic curve key is one of those
    for problem in problems(cert=str(file)):
        assert "openssl pkcs12" in problem.hint
    (problem,) = problems(cert=str(client.certificate), key=str(file))
    assert "openssl pkcs12" in problem.hint
