# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file and our notes on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._daemon import spec
from ansible_collections.slipway.docker.plugins.module_utils._daemon.files import PRIVATE, Files
from ansible_collections.slipway.docker.plugins.module_utils._daemon.rehearse import listening, place, rehearsed


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "etc" / "daemon.json"))


def test_nothing_is_there_at_first(files: Files) -> None:
    assert (files.content(), files.managed(), files.proven(), files.start(), files.obstacle()) == (
        None,
        (),
        None,
        None,
        "",
    )


def test_mode_stays_and_a_link_stays_one(files: Files, tmp_path: Path) -> None:
    files.put(b"{}", 0o600)
    assert mode(files.path) == 0o600
    os.chmod(files.path, 0o640)
    files.put(b'{"debug": true}', 0o644)
    assert mode(files.path) == 0o640 and files.content() == b'{"debug": true}'
    link = tmp_path / "link.json"
    link.symlink_to(files.path)
    Files(str(link)).put(b"{}")
    assert link.is_symlink() and files.content() == b"{}"
    assert os.listdir(os.path.dirname(files.path)) == ["daemon.json"]


def test_what_is_private_narrows_a_mode_and_never_widens_it(files: Files) -> None:
    files.put(b"1")
    assert mode(files.path) == 0o644
    files.put(b"2", PRIVATE)
    assert mode(files.path) == 0o600
    os.chmod(files.path, 0o400)
    files.put(b"3", PRIVATE)
    assert mode(files.path) == 0o400
    files.put(b"4")
    assert mode(files.path) == 0o400


def test_what_is_put_back_has_the_mode_it_had(files: Files) -> None:
    files.put(b"1")
    files.begin_trial(b"1", None)
    files.put(b"2", PRIVATE)
    files.put_back(files.proven(), files.mode())
    assert files.content() == b"1" and mode(files.path) == 0o644


def test_an_older_trial_keeps_what_works(files: Files) -> None:
    files.put(b"1")
    files.begin_trial(b"1", {"arguments": ["dockerd"], "environment": {"A": "secret"}})
    files.put(b"2")
    files.begin_trial(b"2", None)
    assert files.proven() == b"1" and mode(files.start_path) == 0o600
    assert files.start() == {"arguments": ["dockerd"], "environment": {"A": "secret"}}
    files.end_trial()
    assert files.proven() is None and files.start() is None


def test_that_there_was_no_file_is_known_too(files: Files) -> None:
    files.begin_trial(None, None)
    assert files.proven() == b""


def test_names_of_keys_are_noted(files: Files) -> None:
    files.note_managed(("b", "a"))
    assert files.managed() == ("a", "b")
    before = os.stat(files.managed_path).st_ino
    files.note_managed(("a", "b"))
    assert os.stat(files.managed_path).st_ino == before
    files.note_managed(())
    assert files.managed() == () and not os.path.exists(files.managed_path)
    Path(files.managed_path).write_text("{broken")
    assert files.managed() == ()


def test_a_backup_has_the_files_mode(files: Files) -> None:
    assert files.backup() == ""
    files.put(b"x", 0o600)
    path = files.backup()
    assert Path(path).read_bytes() == b"x" and mode(path) == 0o600


def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is not a directory" in Files(str(tmp_path / "file" / "daemon.json")).obstacle()
    assert "name the file" in Files(str(tmp_path)).obstacle()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "config: is missing"),
        ({"config": []}, "is not a dictionary"),
        ({"config": {}, "docker_host": "ssh://root@host"}, "is not a socket on this host"),
        ({"config": {}, "timeout": 0}, "timeout: 0 is not a number of seconds above 0"),
        ({"config": {}, "path": "daemon.json"}, "is not a path from the root"),
        ({"config": {}, "restart": "always"}, '"always" is not one of auto, seamless, never'),
    ],
)
def test_options_that_make_no_sense(params: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec.read(params)


def test_what_a_rehearsal_leaves_out() -> None:
    document = {
        "data-root": "/srv",
        "hosts": ["tcp://192.0.2.1:2376", "fd://"],
        "log-driver": "acme",
        "log-opts": {"x": "1"},
        "icc": False,
    }
    assert rehearsed(document) == {"log-driver": "acme", "log-opts": {"x": "1"}, "icc": False}
    assert rehearsed(document, ["acme"]) == {"icc": False}
    assert listening(document, "/tmp/s") == ["unix:///tmp/s", "tcp://127.0.0.1:2376"]


@pytest.mark.parametrize(
    ("mount", "mode", "remaps", "inside"),
    [
        (False, 0o711, False, False),
        (True, 0o710, False, True),
        (True, 0o710, True, False),
        (True, 0o711, True, True),
    ],
)
def test_a_rehearsal_stores_on_the_file_system_of_the_data_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: bool, mode: int, remaps: bool, inside: bool
) -> None:
    root = tmp_path / "srv" / "docker"
    root.mkdir(parents=True)
    root.chmod(mode)
    (tmp_path / "link").symlink_to(root)
    monkeypatch.setattr(os.path, "ismount", lambda path: mount and path == str(root))
    for said in (root, tmp_path / "link"):
        assert place(str(said), remaps) == str(root if inside else root.parent)


def test_a_data_root_that_is_not_there_yet_has_the_nearest_place_that_is(tmp_path: Path) -> None:
    assert place(str(tmp_path / "a" / "b" / "docker"), False) == str(tmp_path)
