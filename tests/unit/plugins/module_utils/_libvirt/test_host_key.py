# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a host key is made, and that nothing else passes for one."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import host_key

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGsbpUgiInM4eVOtv2R5ydv7D4k+ix9iehkNW77Fbjzp"
PRINT = "SHA256:LhKAABnqXASiVLmr4xV3ycCtqCk5xvvMrCro91ea2Vk"  # as ssh-keygen -l shows it
FAKE = f"""#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" != -f ] || file=$2; [ "$1" != -C ] || comment=$2; shift; done
[ -z "$2" ] || file=$2
stat -c '%a %n' "$(dirname "$file")" >"$0.seen"
[ "$comment" != fail ] || {{ echo "no
luck"; exit 7; }}
echo private >"$file"
echo "{KEY} $comment" >"$file.pub"
"""


@pytest.fixture
def keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, which notes in what directory it was to write."""
    path = tmp_path / "ssh-keygen"
    path.write_text(FAKE)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path / "ssh-keygen.seen"


def seen(note: Path) -> tuple[str, Path]:
    mode, _space, path = note.read_text().strip().partition(" ")
    return mode, Path(path)


def test_a_key_is_made_where_nobody_else_can_look_and_is_gone_after(keygen: Path) -> None:
    assert host_key.make("web") == ("private\n", KEY)
    mode, directory = seen(keygen)
    assert mode == "700"
    assert not directory.exists()
    assert directory.parent in (Path("/dev/shm"), Path("/run"), Path("/tmp"))


def test_a_failure_leaves_nothing_either(keygen: Path) -> None:
    with pytest.raises(SlipwayError, match="ssh-keygen ended with 7: no luck"):
        host_key.make("fail")
    assert not seen(keygen)[1].exists()


def test_the_next_place_is_taken_when_one_is_not_there(
    keygen: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host_key, "PLACES", (str(tmp_path / "none"), str(tmp_path)))
    host_key.make("web")
    assert seen(keygen)[1].parent == tmp_path


def test_a_missing_program_is_said_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(host_key, "PLACES", (str(tmp_path),))
    with pytest.raises(SlipwayError, match="install openssh-client"):
        host_key.make("web")
    assert not list(tmp_path.iterdir())


def test_a_comment_is_one_line() -> None:
    with pytest.raises(ValueError, match="cannot be a key's comment"):
        host_key.make("a\nb")


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen, of the package openssh-client")
def test_no_two_keys_are_alike() -> None:
    one, other = host_key.make("web"), host_key.make("-C web")
    assert one[0].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert one[1] == host_key.pinned(one[1])
    assert one[1] != other[1]


def test_a_fingerprint_is_as_ssh_shows_it() -> None:
    assert host_key.fingerprint(KEY) == PRINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        KEY + " comment",
        KEY + "\n",
        KEY + "A",
        KEY.replace("ssh-ed25519", "ssh-rsa"),
        KEY.replace(" ", "  "),
        "ssh-ed25519 AAAA;reboot",
        "ssh-ed25519 $(reboot)",
        "ssh-ed25519 %H",
        "ssh-ed25519 " + "A" * 68,
    ],
)
def test_what_is_no_key_becomes_no_part_of_a_command(text: str) -> None:
    with pytest.raises(SlipwayError, match="is not a public key of the form"):
        host_key.known_hosts_arguments(text)


@pytest.mark.parametrize("alias", ["a b", "-a", "%h", "a'b", "a\n", "*"])
def test_an_alias_is_a_name(alias: str) -> None:
    with pytest.raises(SlipwayError, match="cannot be a host's alias"):
        host_key.known_hosts_arguments(KEY, alias)


def test_the_arguments_trust_one_key_and_note_nothing() -> None:
    arguments = host_key.known_hosts_arguments(KEY, "web")
    assert arguments[::2] == ["-o"] * (len(arguments) // 2)
    assert {
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        f"KnownHostsCommand=/bin/echo %H {KEY}",
        "HostKeyAlias=web",
    } <= set(arguments[1::2])


def test_ansible_gets_them_before_its_own() -> None:
    variables = host_key.ansible_variables(KEY)
    assert shlex.split(str(variables["ansible_ssh_args"])) == [
        *host_key.known_hosts_arguments(KEY),
        *host_key.ANSIBLE_ARGUMENTS,
    ]
    assert variables["ansible_host_key_checking"] is True
