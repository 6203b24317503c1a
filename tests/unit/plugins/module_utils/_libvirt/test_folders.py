# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a folder of the host goes into a guest, and whether it can."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import hypervisor, values

from .documents import folder


def said(source: str, read_only: bool = False) -> dict[str, Any]:
    return {"Source": source, "ReadOnly": read_only}


def test_one_that_is_there_as_it_was_said_stays_as_it_is() -> None:
    there = {"/a": folder("/a"), "/b": folder("/b"), "/c": folder("/c", True)}
    wanted = {"/d": said("/d"), "/a": said("/a"), "/b": said("/other"), "/c": said("/c", True), "/e": said("/e", True)}
    assert values.handed_in(wanted, there, "virtiofs") == {
        "/a": folder("/a"),
        "/b": folder("/other", way="virtiofs"),
        "/c": folder("/c", True),
        "/d": folder("/d", way="virtiofs"),
        "/e": folder("/e", True),
    }


class Somewhere(hypervisor.Hypervisor):
    def __init__(self, uri: str) -> None:
        self.uri = uri


def test_a_folder_must_be_there_where_that_can_be_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session, system, away = map(Somewhere, ("qemu:///session", "qemu:///system", "qemu+ssh://ana@host/session"))
    gone = str(tmp_path / "gone")
    monkeypatch.setattr(hypervisor, "VIRTIOFSD", (str(tmp_path),))
    for one in (session, system):
        assert "is no folder of this host" in one.refusal_of_folder(gone, False)
        assert one.refusal_of_folder(str(tmp_path), False) == ""
    assert away.refusal_of_folder(gone, False) == ""
    monkeypatch.setattr(hypervisor, "VIRTIOFSD", (gone,))
    assert "install the package virtiofsd" in system.refusal_of_folder(str(tmp_path), False)
    assert system.refusal_of_folder(str(tmp_path), True) == ""
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    assert "say read_only: true" in session.refusal_of_folder(str(tmp_path), False)
    assert session.refusal_of_folder(str(tmp_path), True) == ""
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert "may not read" in session.refusal_of_folder(str(tmp_path), True)
