# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Engines of users without root, on real hosts with systemd: Debian 12's engine and Debian 13's, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.hosts import changed
from role import LAB, prepare, role

NAMES = ("users12", "users13")
IMAGE = "mkdir -p /tmp/image/bin && cp /usr/bin/busybox /tmp/image/bin/ && tar -cf /tmp/image.tar -C /tmp/image . && chmod 0644 /tmp/image.tar"

pytestmark = [pytest.mark.molecule, pytest.mark.slow]


def as_user(host: str, name: str, command: str, check: bool = True) -> str:
    """What somebody sees who uses their own engine."""
    return LAB.sh(
        host, f"DOCKER_HOST=unix:///run/user/$(id -u {name})/docker.sock runuser -u {name} -- {command}", check=check
    ).strip()


@pytest.fixture(scope="module")
def lab() -> Iterator[None]:
    yield from LAB.up("users12=bookworm", "users13=trixie")


@pytest.fixture(scope="module")
def users(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("users")
    prepare(folder, *NAMES)
    for host in NAMES:
        # A home on a real file system; grace has no subordinate ids.
        LAB.sh(
            host,
            "for n in ada grace; do useradd -m -d /var/lib/$n $n; done; sed -i /^grace/d /etc/subuid /etc/subgid",
        )
        LAB.sh(host, IMAGE)
    return folder


def test_who_cannot_have_one_is_named(users: Path) -> None:
    for host in NAMES:
        LAB.sh(
            host, "mkdir -p /var/lib/ada/.config/systemd/user && touch /var/lib/ada/.config/systemd/user/docker.service"
        )
    said = role(users, status=2, engine_rootless_users=["ada", "nobody-here", "root"])
    assert '"nobody-here" is no user of this host; make it with ansible.builtin.user' in said
    assert (
        '"root" is root' in said and "has a unit of their own, /var/lib/ada/.config/systemd/user/docker.service" in said
    )
    for host in NAMES:
        assert LAB.sh(host, "command -v dockerd", check=False) == ""
        LAB.sh(host, "rm -r /var/lib/ada/.config")


def test_each_has_an_engine_of_their_own(users: Path) -> None:
    foretold = role(users, check=True, engine_rootless_users=["ada", "grace"])
    assert (
        "~ engine/rootless/grace subordinate ids: 0 -> 65536" in foretold
        and "+ engine/rootless/ada missing" in foretold
    )
    assert all(LAB.sh(host, "ls /var/lib/systemd/linger", check=False) == "" for host in NAMES)
    role(users, engine_rootless_users=["ada", "grace"])
    for host in NAMES:
        for name in ("ada", "grace"):
            assert "rootless" in as_user(host, name, "docker info --format '{{.SecurityOptions}}'")
        as_user(host, "ada", "docker import /tmp/image.tar shell")
        as_user(
            host,
            "ada",
            "docker run --detach --name web --publish 8088:80 --restart always shell /bin/busybox httpd -f -p 80 -h /bin",
        )
        assert (
            int(
                LAB.sh(
                    host,
                    "for n in $(seq 50); do busybox wget -qO- http://127.0.0.1:8088/busybox | wc -c | grep -v ^0 && break; sleep 0.1; done",
                )
            )
            > 100_000
        )
        # Whoever is root in it is she, and nobody sees it from the other engines.
        assert LAB.sh(host, "ps -o user= -C busybox").split() == ["ada"]
        assert as_user(host, "grace", "docker ps --quiet") == LAB.sh(host, "docker ps --quiet") == ""
    assert changed(role(users, engine_rootless_users=["ada", "grace"])) == 0


def test_it_comes_back_with_the_host(users: Path) -> None:
    LAB.docker("restart", *NAMES)
    for host in NAMES:
        LAB.sh(
            host,
            "for n in $(seq 300); do systemctl is-system-running | grep -Eq 'running|degraded' && break; sleep 0.1; done",
        )
        LAB.sh(
            host,
            "for n in $(seq 300); do busybox wget -qO- http://127.0.0.1:8088/busybox >/dev/null 2>&1 && exit; sleep 0.1; done; exit 1",
        )


def test_who_is_not_named_any_more_keeps_what_was_stored(users: Path) -> None:
    said = role(users, engine_rootless_users=["ada"])
    assert changed(said) == 2
    for host in NAMES:
        assert LAB.sh(host, "pgrep -u grace dockerd", check=False) == ""
        assert LAB.sh(host, "ls /var/lib/systemd/linger").split() == ["ada"]
        LAB.sh(host, "test -d /var/lib/grace/.local/share/docker")
        assert as_user(host, "ada", "docker ps --format '{{.Names}}'") == "web"


def test_nothing_is_left(users: Path) -> None:
    role(users, engine_state="absent", engine_remove_data=True, engine_rootless_users=["ada"])
    for host in NAMES:
        assert (
            LAB.sh(
                host,
                "pgrep -u ada dockerd; ls /etc/systemd/user/docker.service /etc/docker/* /var/lib/systemd/linger/*",
                check=False,
            )
            == ""
        )
        assert LAB.sh(host, "ls -A /var/lib/ada/.local/share") == ""
    assert changed(role(users, engine_state="absent", engine_remove_data=True)) == 0
