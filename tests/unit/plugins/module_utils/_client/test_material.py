# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TLS files that cannot work are told by themselves, before a context has them; their content is never shown."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from harness.certificates import SERVER, Authority

from ansible_collections.slipway.docker.plugins.module_utils import _certificate
from ansible_collections.slipway.docker.plugins.module_utils._client import material


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with right files and wrong ones."""
    directory = tmp_path_factory.mktemp("files")
    ca = Authority(directory)
    ca.issue("client")
    ca.issue("other")
    ca.issue("old", begins=-3, ends=-1)
    ca.issue("young", begins=1, ends=3)
    ca.issue("locked", passphrase=b"open sesame")
    ca.issue("server", SERVER, ("engine.example", "192.168.90.10", "::1"))
    (directory / "der.pem").write_bytes(ssl.PEM_cert_to_DER_cert((directory / "client.pem").read_text()))
    (directory / "damaged.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (directory / "empty.pem").write_text("")
    (directory / "text.pem").write_text("ca.example\n")
    (directory / "bundle.pem").write_text((directory / "old.pem").read_text() + (directory / "ca.pem").read_text())
    head = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n"
    (directory / "old-style.pem").write_text(head + "-----END EC PRIVATE KEY-----\n")
    os.mkfifo(directory / "pipe.pem")
    (directory / "folder.pem").mkdir()
    return directory


def told(place: Path, **files: str) -> list[tuple[str, str]]:
    found, unread = material.read({option: str(place / f"{name}.pem") for option, name in files.items()})
    return [*unread, *material.check(found)]


GOOD = {"ca_path": "ca", "client_cert": "client", "client_key": "client-key"}
WRONG = [
    ({"ca_path": "nowhere"}, "ca_path", "is not there"),
    ({"ca_path": "folder"}, "ca_path", "cannot be read"),
    ({"ca_path": "pipe"}, "ca_path", "is not a regular file"),
    ({"ca_path": "empty"}, "ca_path", "is empty"),
    ({"ca_path": "text"}, "ca_path", "is no PEM"),
    ({"ca_path": "damaged"}, "ca_path", "is damaged"),
    ({"ca_path": "client-key"}, "ca_path", "holds a private key"),
    ({"ca_path": "old"}, "ca_path", "has expired"),
    ({"client_cert": "der"}, "client_cert", "openssl x509 -inform der"),
    ({"client_cert": "old", "client_key": "old-key"}, "client_cert", "has expired"),
    ({"client_cert": "young", "client_key": "young-key"}, "client_cert", "is not valid before"),
    ({"client_key": "other-key"}, "client_key", "is not the key of the certificate"),
    ({"client_key": "client"}, "client_key", "holds a certificate"),
    ({"client_cert": "locked", "client_key": "locked-key"}, "client_key", "is encrypted"),
    ({"client_key": "old-style"}, "client_key", "is encrypted"),
]


def test_right_files(place: Path) -> None:
    assert told(place, **GOOD) == []
    assert told(place, ca_path="bundle") == [], "one authority of a bundle is enough"


@pytest.mark.parametrize(("files", "option", "reason"), WRONG, ids=[f"{case[1]} {case[2]}" for case in WRONG])
def test_wrong_files(place: Path, files: dict[str, str], option: str, reason: str) -> None:
    lines = told(place, **{**GOOD, **files})
    assert len(lines) == 1, lines
    assert lines[0][0] == option and reason in lines[0][1]
    assert "BEGIN" not in lines[0][1]


def test_a_file_that_may_not_be_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(material, "_whole", refused)
    assert ["may not be read by" in line for _option, line in told(place, ca_path="ca")] == [True]


def test_what_is_read_shows_nothing(place: Path) -> None:
    found, _unread = material.read({"client_key": str(place / "client-key.pem")})
    assert found.content["key"].startswith(b"-----BEGIN") and "BEGIN" not in repr(found)


def test_names_and_dates_of_a_certificate(place: Path) -> None:
    (server,) = _certificate.certificates((place / "server.pem").read_text())
    assert server.names == ("engine.example", "192.168.90.10", "::1")
    assert 30.9 < (server.ends - server.begins) / 86400 < 31.1


@pytest.mark.parametrize(
    ("tag", "text", "seconds"),
    [(0x17, b"700101000001Z", 1), (0x17, b"491231235959Z", 2524607999), (0x18, b"20500101000000Z", 2524608000)],
)
def test_times_of_both_kinds(tag: int, text: bytes, seconds: int) -> None:
    assert _certificate._seconds(tag, text) == seconds


@pytest.mark.parametrize("length", range(0, 400, 7))
def test_a_certificate_that_was_cut_off(place: Path, length: int) -> None:
    whole = ssl.PEM_cert_to_DER_cert((place / "server.pem").read_text())
    with pytest.raises(ValueError, match="damaged"):
        _certificate.parse(whole[:length])
