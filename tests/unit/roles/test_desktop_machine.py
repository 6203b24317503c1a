# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role desktop: when its program has the machine go off. systemctl and virsh are stand-ins that note what they are asked."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "roles" / "desktop" / "files"))

from slipway_desktop import machine

VIRSH = """\
#!/bin/sh
echo "$3" >>{place}/asked
case $3 in
domstate) cat {place}/state ;;
shutdown) {shutdown} ;;
esac
"""
OBEYS = 'echo "shut off" >{place}/state'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, found before others of their name: a machine that runs, in a session that is ending."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(machine, "GOING_OFF", 0.6)
    (tmp_path / "state").write_text("running\n")
    program(tmp_path, "systemctl", "#!/bin/sh\necho stopping\nexit 1\n")
    program(tmp_path, "virsh", VIRSH.format(place=tmp_path, shutdown=OBEYS.format(place=tmp_path)))
    return tmp_path


def program(place: Path, name: str, text: str) -> None:
    (place / name).write_text(text)
    (place / name).chmod(0o755)


def left(place: Path, uri: str = "qemu:///session", domain: str = "lab") -> tuple[list[str], list[str]]:
    """What the program said, and what virsh was asked."""
    said: list[str] = []
    asyncio.run(machine.leave(uri, domain, said.append))
    asked = place / "asked"
    return said, asked.read_text().split() if asked.exists() else []


@pytest.mark.parametrize("uri", ["qemu:///session", "qemu:///session?socket=/run/x"])
def test_it_goes_off_with_the_session(place: Path, uri: str) -> None:
    assert left(place, uri) == (
        ["the session ends: the machine lab is off"],
        ["domstate", "shutdown", "domstate"],
    )


def test_one_that_is_off_is_asked_nothing_more(place: Path) -> None:
    (place / "state").write_text("shut off\n")
    assert left(place) == (["the session ends: the machine lab is off"], ["domstate"])


@pytest.mark.parametrize("state", ["running", "degraded", "offline", ""])
def test_it_stays_on_while_the_session_does(place: Path, state: str) -> None:
    """Another configuration has the program started anew, and nothing else."""
    program(place, "systemctl", f"#!/bin/sh\necho {state}\nexit 1\n")
    assert left(place) == ([], [])


def test_it_stays_on_where_there_is_no_systemd(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "systemctl").unlink()
    monkeypatch.setenv("PATH", str(place))
    assert left(place) == ([], [])


def test_one_of_the_systems_hypervisor_outlives_the_session(place: Path) -> None:
    assert left(place, "qemu:///system") == ([], [])
    assert left(place, "", "") == ([], [])


def test_one_that_does_not_go_off_is_named(place: Path) -> None:
    program(place, "virsh", VIRSH.format(place=place, shutdown=":"))
    assert left(place)[0] == ["the session ends: the machine lab is not off after 0.6 s"]
    program(place, "virsh", "#!/bin/sh\necho it is not to be had >&2\nexit 1\n")
    assert left(place)[0] == ["the session ends, and the machine lab was not shut down: it is not to be had"]
