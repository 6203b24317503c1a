# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates on the engine's host: which a daemon has yet to read, and a pair that does not go together is not placed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.module_utils._daemon import tls_host
from ansible_collections.slipway.docker.plugins.module_utils._daemon.process import Process
from ansible_collections.slipway.docker.plugins.module_utils._daemon.unread import unread, used


def test_what_was_written_after_the_daemon_began_is_unread(tmp_path: Path) -> None:
    began = Process(os.getpid(), ("dockerd",)).since
    document = {f"tls{name}": str(tmp_path / f"{name}.pem") for name in ("cacert", "cert", "key")}
    for name, age in (("cacert", -60), ("cert", 60)):
        (tmp_path / f"{name}.pem").touch()
        os.utime(tmp_path / f"{name}.pem", (began + age, began + age))
    assert unread(Process(os.getpid(), ("dockerd",)), document) == ["tlscert"]
    assert unread(Process(os.getpid(), ("dockerd",)), {}) == []
    assert unread(Process(0, ("dockerd",)), document) == [], "a daemon that has ended"


def test_a_flag_says_which_files_a_daemon_uses() -> None:
    process = Process(1, ("dockerd", "--tlscert=/a.pem"))
    assert used(process, {"tlskey": "/b.pem", "tlscacert": 7}) == {"tlscert": "/a.pem", "tlskey": "/b.pem"}


def test_a_pair_that_does_not_go_together_is_not_placed(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("key")
    (tmp_path / "cert.pem").write_text("certificate")
    with pytest.raises(SlipwayError, match="do not go together"):
        tls_host.place(str(tmp_path), {"cert.pem": "another", "ca.pem": "authority"}, False)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"key.pem": "key", "cert.pem": "certificate"}


def test_looking_shows_no_private_key(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    (tmp_path / "key.pem").chmod(0o640)
    found = tls_host.look(str(tmp_path))
    assert "secret" not in repr(found)
    assert found["files"]["key.pem"] == {"mode": 0o640, "uid": os.geteuid()}
    assert found["public"] == "" and (found["key_problem"] or not found["openssl"])
    assert found["files"]["cert.pem"]["mode"] is None and not found["fits"] and time.time() > 0
