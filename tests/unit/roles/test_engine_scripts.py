# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The scripts with which the role `engine` upgrades and moves, beside programs that only say what they are told to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import INSTALLED

FILES = INSTALLED / "roles" / "engine" / "files"
WEB, JOB = "a" * 64, "b" * 64


class Host:
    """A host of a few programs, each of which is a line of shell."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        self.bin.mkdir()

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess:
        environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}
        command = ["sh", str(FILES / script), *map(str, arguments)]
        return subprocess.run(
            command, input=given, env=environment, capture_output=True, text=True, check=False, timeout=30
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


# --- containers.sh -------------------------------------------------------------------------------------------------------


def engine(
    host: Host, *lines: str, version: str = "26.1.5", installed: str = "26.1.5", ended: str = "exited 1 no"
) -> None:
    """An engine of that version, in which these containers run; for all others it says how they ended."""
    host.program("dockerd", f"echo 'Docker version {installed}, build a72d7cd'")
    listed = "\n".join(f"echo '{line}'" for line in lines)
    host.program(
        "docker",
        f"case $* in version*) echo '{version}' ;; ps*) echo x ;; start*) ;; *ExitCode*) echo '{ended}' ;; inspect*)\n{listed}\n:\n;; esac",
    )


BEFORE = f"{WEB} 100 0 healthy /web\n{JOB} 200 0 - /job\n"


def test_the_same_processes_pass_the_gate(host: Host) -> None:
    engine(host, *BEFORE.splitlines())
    done = host.run("containers.sh", "gate", "0", "same", given=BEFORE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("now", "wrong"),
    [
        ([f"{WEB} 100 0 healthy /web"], "job does not run"),
        ([f"{WEB} 100 0 healthy /web", f"{JOB} 201 0 - /job"], "job is process 201, and was 200"),
        ([f"{WEB} 100 0 starting /web", f"{JOB} 200 0 - /job"], "web is starting, and was healthy"),
    ],
)
def test_what_is_not_as_it_was_is_named(host: Host, now: list[str], wrong: str) -> None:
    engine(host, *now)
    done = host.run("containers.sh", "gate", "0", "same", given=BEFORE)
    assert (done.returncode, done.stderr.strip()) == (1, wrong)


def test_a_job_that_has_come_to_its_end_is_not_missed(host: Host) -> None:
    engine(host, f"{WEB} 100 0 healthy /web", ended="exited 0 no")
    assert host.run("containers.sh", "gate", "0", "same", given=BEFORE).returncode == 0


def test_what_is_restarted_all_the_time_is_as_it_was(host: Host) -> None:
    engine(host, f"{WEB} 105 8 - /web")
    assert host.run("containers.sh", "gate", "0", "same", given=f"{WEB} 100 7 - /web\n").returncode == 0


def test_other_processes_do_where_they_were_started_again(host: Host) -> None:
    engine(host, f"{WEB} 300 0 healthy /web", f"{JOB} 301 0 - /job")
    assert host.run("containers.sh", "gate", "0", "started", given=BEFORE).returncode == 0


def test_a_daemon_that_was_not_restarted_does_not_pass(host: Host) -> None:
    engine(host, *BEFORE.splitlines(), version="20.10.24")
    done = host.run("containers.sh", "gate", "0", "same", given=BEFORE)
    assert (done.returncode, done.stderr.strip()) == (1, "it is still 20.10.24, and 26.1.5 is installed")


def test_a_list_that_may_be_too_short_is_a_failure(host: Host) -> None:
    host.program("docker", "case $1 in ps) echo x ;; inspect) echo 'template parsing error' >&2; exit 1 ;; esac")
    assert host.run("containers.sh", "list").returncode != 0
    host.program("docker", "case $1 in ps) echo x ;; inspect) echo 'Error: No such container: x' >&2; exit 1 ;; esac")
    assert host.run("containers.sh", "list").returncode == 0


# --- move_data.sh --------------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "volumes").mkdir(parents=True)
    (old / "volumes" / "one").write_text("data")
    os.link(old / "volumes" / "one", old / "volumes" / "two")
    (old / "link").symlink_to("volumes/one")
    with (old / "holes").open("wb") as file:
        file.truncate(1 << 24)
    old.chmod(0o710)
    return old, new


@pytest.mark.parametrize("rsync", [False, True])
def test_a_copy_is_the_same_in_every_respect(host: Host, places: tuple[Path, Path], rsync: bool) -> None:
    old, new = places
    if not rsync:
        # `command -v` finds no rsync among these.
        for name in ("sh", "cp", "mkdir", "chmod", "chown", "find", "rm", "sync"):
            (host.bin / name).symlink_to(
                subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
            )
        done = subprocess.run(
            ["/bin/sh", FILES / "move_data.sh", "copy", old, new],
            env={"PATH": str(host.bin)},
            capture_output=True,
            text=True,
            check=False,
        )
    else:
        if subprocess.run(["which", "rsync"], capture_output=True, check=False).returncode:
            pytest.skip("there is no rsync here")
        done = host.run("move_data.sh", "copy", old, new)
    assert done.returncode == 0, done.stderr
    assert (new / "volumes" / "one").samefile(new / "volumes" / "two")
    assert os.readlink(new / "link") == "volumes/one"
    assert (new / "holes").stat().st_size == 1 << 24
    assert (new / "holes").stat().st_blocks < 1 << 10
    assert new.stat().st_mode & 0o777 == 0o710
    assert sorted(path.name for path in new.iterdir()) == ["holes", "link", "volumes"]


def test_a_copy_that_was_interrupted_is_finished(host: Host, places: tuple[Path, Path]) -> None:
    old, new = places
    new.mkdir()
    (new / ".slipway-moving").touch()
    (new / "half").touch()
    assert host.run("move_data.sh", "check", old, new).returncode == 0
    assert host.run("move_data.sh", "copy", old, new).returncode == 0
    assert sorted(path.name for path in new.iterdir()) == ["holes", "link", "volumes"]


def test_a_place_that_cannot_be_is_refused(host: Host, places: tuple[Path, Path]) -> None:
    old, new = places
    assert "lies in" in host.run("move_data.sh", "check", old, old / "below").stderr
    assert "lies in" in host.run("move_data.sh", "check", old, old.parent).stderr
    new.mkdir()
    (new / "somebody's").touch()
    assert "is not empty" in host.run("move_data.sh", "check", old, new).stderr


def test_no_room_is_said_before_anything(host: Host, places: tuple[Path, Path]) -> None:
    old, new = places
    host.program("df", "echo Filesystem; echo '/dev/sda 100 99 2048 99% /'")
    host.program("du", r"printf '10240\t%s\n' x")
    done = host.run("move_data.sh", "check", old, new)
    assert (done.returncode, done.stderr) == (1, f"{old} holds 10 MiB, and {new} has room for 2 MiB\n")
    assert not new.exists()


def test_what_is_missing_in_the_new_place_is_named(host: Host, places: tuple[Path, Path], tmp_path: Path) -> None:
    note = tmp_path / "note"
    host.program(
        "docker",
        f"case $* in 'ps --all'*|'ps --quiet'*) echo {WEB} ;; images*) echo sha256:1 ;; volume*) echo data ;; start*) echo $2 >>{tmp_path}/started ;; esac",
    )
    assert host.run("move_data.sh", "note", *places, note).returncode == 0
    assert host.run("move_data.sh", "same", *places, note).returncode == 0
    assert (tmp_path / "started").read_text() == f"{WEB}\n"
    host.program("docker", f"case $* in 'ps --all'*) echo {WEB} ;; images*) echo sha256:1 ;; esac")
    done = host.run("move_data.sh", "same", *places, note)
    assert (done.returncode, done.stderr) == (1, "missing: volume data\n")
