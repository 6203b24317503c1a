# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is on a seed, and what a user may not write into one."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
import yaml

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import iso, seed


def public_key(kind: str = "ssh-ed25519", body: bytes = b"k" * 32) -> str:
    parts = [kind.encode(), body]
    return f"{kind} " + base64.b64encode(b"".join(struct.pack(">I", len(part)) + part for part in parts)).decode()


KEY, OTHER = public_key(), public_key(body=b"o" * 32)
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"


def example(**more: Any) -> dict[str, Any]:
    return {
        "instance_id": "i-1",
        "hostname": "web",
        "ssh_keys": [KEY + " me@home"],
        "host_key": PRIVATE,
        "host_key_public": OTHER,
        **more,
    }


def user_data(**more: Any) -> dict[str, Any]:
    text = seed.files(example(**more))["user-data"].decode()
    assert text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


def iso_names(files: dict[str, bytes]) -> list[str]:
    """The names on the image of these files, which can be made."""
    return [name for name in files if name.encode() in iso.image(files)]


def sentences(**more: Any) -> dict[str, str]:
    return dict(seed.check(example(**more)))


# -- what is on it ---------------------------------------------------------------------------------------------


def test_root_is_let_in_by_keys_alone() -> None:
    found = user_data()
    assert found["users"] == [{"name": "root", "lock_passwd": True, "ssh_authorized_keys": [KEY + " me@home"]}]
    assert found["disable_root"] is False
    assert found["ssh_pwauth"] is False


def test_another_user_becomes_root_without_a_password() -> None:
    found = user_data(user="admin")
    assert found["users"] == [
        {
            "name": "admin",
            "lock_passwd": True,
            "shell": "/bin/sh",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "ssh_authorized_keys": [KEY + " me@home"],
        }
    ]
    assert "disable_root" not in found


def test_the_host_key_is_ours_and_stays() -> None:
    found = user_data(host_key=PRIVATE.rstrip("\n"))
    assert found["ssh_keys"] == {"ed25519_private": PRIVATE, "ed25519_public": OTHER + "\n"}
    assert found["ssh_deletekeys"] is False
    (keep,) = found["write_files"]
    assert keep["path"] == "/etc/cloud/cloud.cfg.d/99_slipway.cfg"
    assert yaml.safe_load(keep["content"]) == {
        "manual_cache_clean": True,
        "ssh_deletekeys": False,
        "disable_root": False,
    }


def test_a_shell_can_read_it_too() -> None:
    found = seed.files(example(user="admin", run="#!/bin/sh\necho hello", ssh_keys=[KEY, f"  {KEY} ", OTHER]))
    assert found["hostname"] == b"web\n"
    assert found["user"] == b"admin\n"
    assert found["authorized-keys"].decode() == f"{KEY}\n{OTHER}\n"
    assert found["host-key"].decode() == PRIVATE
    assert found["host-key.pub"].decode() == OTHER + "\n"
    assert found["run"] == b"#!/bin/sh\necho hello\n"
    assert "network-config" not in found
    assert iso.image(found)


def test_what_need_not_be_said_is_not_there() -> None:
    found = seed.files(example(ssh_keys=None))
    assert found["authorized-keys"] == b""
    assert sorted(found) == [
        "authorized-keys",
        "host-key",
        "host-key.pub",
        "hostname",
        "meta-data",
        "user",
        "user-data",
    ]


def test_run_means_the_same_for_cloud_init() -> None:
    assert user_data(run="echo $HOME")["runcmd"] == [["/bin/sh", "-c", "echo $HOME\n"]]


@pytest.mark.parametrize("name", ["web", "no", "123", "1e3", "null"])
def test_a_name_that_yaml_reads_as_something_else_stays_a_name(name: str) -> None:
    assert yaml.safe_load(seed.files(example(hostname=name))["meta-data"]) == {
        "instance-id": "i-1",
        "local-hostname": name,
    }


def test_network_config_is_as_it_was_said() -> None:
    config = {"version": 2, "ethernets": {"all": {"match": {"name": "e*"}, "dhcp4": True}}}
    assert yaml.safe_load(seed.files(example(network_config=config))["network-config"]) == config


@pytest.mark.parametrize(
    "text", ["ä 😀", "line\u2028end \u0085 \x7f \x9f", "tab\t, nul \x00, \ufeff", "a: b # c", "\\ \" / '", "x" * 3000]
)
def test_every_text_survives(text: str) -> None:
    assert user_data(user_data={"final_message": text})["final_message"] == text


def test_the_users_part_is_merged() -> None:
    found = user_data(
        run="first",
        user_data={
            "packages": ["git"],
            "runcmd": ["second"],
            "write_files": [{"path": "/etc/motd"}],
            "users": [{"name": "root", "ssh_authorized_keys": [OTHER], "groups": "docker"}, "default", {"name": "eve"}],
        },
    )
    assert found["packages"] == ["git"]
    assert found["runcmd"] == [["/bin/sh", "-c", "first\n"], "second"]
    assert [item["path"] for item in found["write_files"]] == [seed.KEEP, "/etc/motd"]
    root, *others = found["users"]
    assert root == {
        "name": "root",
        "lock_passwd": True,
        "groups": "docker",
        "ssh_authorized_keys": [KEY + " me@home", OTHER],
    }
    assert others == ["default", {"name": "eve"}]


@pytest.mark.parametrize("text", ['{"packages": ["git"]}', '#cloud-config\n{"packages": ["git"]}'])
def test_a_text_that_is_a_mapping_is_one(text: str) -> None:
    assert not sentences(user_data=text)
    assert user_data(user_data=text)["packages"] == ["git"]


def test_the_same_input_is_the_same_seed() -> None:
    one = example(user_data={"b": {"d": 1, "c": 2}, "a": []})
    other = example(user_data={"a": [], "b": {"c": 2, "d": 1}})
    assert seed.files(one) == seed.files(other)


def test_more_files_are_on_it_as_they_are() -> None:
    found = seed.files(example(files={"ca.pem": "-----BEGIN", "slipway.ephemeral": ""}))
    assert found["ca.pem"] == b"-----BEGIN"
    assert found["slipway.ephemeral"] == b""
    assert set(iso_names(found)) >= {"ca.pem", "slipway.ephemeral", "hostname"}


# -- what is refused -------------------------------------------------------------------------------------------


def test_a_good_seed_has_no_mistakes() -> None:
    assert not sentences(
        user="_apt-1",
        hostname="web-1.example.org",
        ssh_keys=[KEY, public_key("ssh-rsa"), public_key("sk-ssh-ed25519@openssh.com") + " a comment"],
        user_data={"ssh_pwauth": False, "users": [{"name": "eve", "lock-passwd": True}], "disable_root": False},
        network_config={"version": 2},
        run="true",
        files={"ca.pem": "x", "daemon.json": "{}"},
    )


@pytest.mark.parametrize(
    ("files", "place", "words"),
    [
        ({"Ca.pem": "x"}, "files", "cannot be a name"),
        ({"a/b": "x"}, "files", "cannot be a name"),
        ({7: "x"}, "files", "cannot be a name"),
        ({"host-key": "x"}, "files.host-key", "written by us"),
        ({"ca.pem": b"x"}, "files.ca.pem", "not a text"),
        ({"ca.pem": {"a": 1}}, "files.ca.pem", "not a text"),
        ({"ca.pem": "hunter22" * (1 << 18)}, "files.ca.pem", "at most"),
        (["ca.pem"], "files", "not a mapping"),
    ],
)
def test_a_file_that_cannot_be_on_it_is_refused_and_not_shown(files: Any, place: str, words: str) -> None:
    (found,) = seed.check(example(files=files))
    assert found[0] == place and words in found[1] and "hunter22" not in found[1]


@pytest.mark.parametrize("name", ["", "-a", "a-", "a_b", "a..b", "1.2.3.4", "a" * 64, "a.b" * 22, None, "a\n", "ä"])
def test_a_host_has_a_name_of_rfc_1123(name: Any) -> None:
    assert list(sentences(hostname=name)) == ["hostname"]


@pytest.mark.parametrize("name", ["Root", "1a", "-l", "a b", "a" * 33, "a:b", "a\n", 7])
def test_a_user_has_a_posix_name(name: Any) -> None:
    assert list(sentences(user=name)) == ["user"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (PRIVATE, "is a private key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "is a private key"),
        ("~/.ssh/id_ed25519.pub", "is a path"),
        ("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW", "is not a public key"),
        ("ssh-ed25519", "is not a public key"),
        ("ssh-ed25519 c2VjcmV0", "is not a public key"),
        (KEY.replace("ssh-ed25519", "ssh-rsa"), "is not a public key"),
        (KEY[:-8], "is not a public key"),
        (f"{KEY}\n{OTHER}", "is not a public key"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "is not a public key"),
        (f'command="x" {KEY}', "is not a public key"),
        (5, "is not a text"),
    ],
)
def test_only_public_keys_are_taken_and_none_is_shown(key: Any, words: str) -> None:
    found = sentences(ssh_keys=[key])
    assert words in found["ssh_keys[0]"]
    assert not {word for word in str(key).split() if len(word) > 4 and word in found["ssh_keys[0]"]} - {
        "ssh-ed25519",
        "PRIVATE",
    }


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"ssh_pwauth": True}, "user_data.ssh_pwauth"),
        ({"ssh_pwauth": "unchanged"}, "user_data.ssh_pwauth"),
        ({"ssh_deletekeys": True}, "user_data.ssh_deletekeys"),
        ({"chpasswd": {"expire": False}}, "user_data.chpasswd"),
        ({"password": "hunter22"}, "user_data.password"),
        ({"ssh_keys": {"rsa_private": "x"}}, "user_data.ssh_keys"),
        ({"disable_root": True}, "user_data.disable_root"),
        ({"users": "eve"}, "user_data.users"),
        ({"users": ["default", {"name": "eve", "passwd": "hunter22"}]}, "user_data.users[1].passwd"),
        ({"users": [{"plain_text_passwd": "hunter22"}]}, "user_data.users[0].plain_text_passwd"),
        ({"users": [{"plain-text-passwd": "hunter22"}]}, "user_data.users[0].plain_text_passwd"),
        ({"users": [{"hashed_passwd": "hunter22"}]}, "user_data.users[0].hashed_passwd"),
        ({"users": [{"lock_passwd": False}]}, "user_data.users[0].lock_passwd"),
        ({"user": {"lock-passwd": "false"}}, "user_data.user.lock_passwd"),
        ({"final_message": float("nan")}, "user_data"),
        ({"final_message": "\ud800"}, "user_data"),
        ("#cloud-config\npackages: [git]\n", "user_data"),
        ("#!/bin/sh\necho\n", "user_data"),
        (["git"], "user_data"),
    ],
)
def test_user_data_cannot_undo_the_trust(data: Any, place: str) -> None:
    found = sentences(user_data=data)
    assert list(found) == [place]
    assert "hunter22" not in found[place]


def test_root_may_be_locked_out_when_somebody_else_is_let_in() -> None:
    assert not sentences(user="admin", user_data={"disable_root": True})


@pytest.mark.parametrize("config", [[], "x", {"version": 1}, {"ethernets": {}}, {"version": 2, "a": float("inf")}])
def test_network_config_is_of_version_2(config: Any) -> None:
    assert list(sentences(network_config=config)) == ["network_config"]


@pytest.mark.parametrize("run", [["true"], "a\0b", 1])
def test_run_is_a_text(run: Any) -> None:
    assert list(sentences(run=run)) == ["run"]
