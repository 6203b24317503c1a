# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role desktop: what its program decides without a process: which ports, what is said, how long it waits, whose a process is."""

from __future__ import annotations

import ast
import asyncio
import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "roles" / "desktop" / "files" / "slipway_desktop"
sys.path.insert(0, str(PROGRAM.parent))

from slipway_desktop import config, place, ports, ssh, troubles  # noqa: E402
from slipway_desktop.forward import Forwarder  # noqa: E402
from slipway_desktop.ports import Forward  # noqa: E402
from slipway_desktop.waiting import within  # noqa: E402

HERE = ["127.0.0.1"]
WHOLE = {"name": "lab", "ssh": "slipway-lab", "directory": "/home/me/lab", "socket": "/home/me/lab/docker.sock"}


def container(name: str, *published: tuple[str, int], kind: str = "tcp") -> dict:
    entries = [{"IP": address, "PrivatePort": 80, "PublicPort": port, "Type": kind} for address, port in published]
    return {"Id": "0123456789abcdef", "Names": [f"/{name}"], "Ports": entries}


# -- ports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        (["127.0.0.1"], "127.0.0.1"),
        (["0.0.0.0"], "127.0.0.1"),
        (["0.0.0.0", "::"], "127.0.0.1"),
        (["::", "0.0.0.0"], "127.0.0.1"),
        ([""], "127.0.0.1"),
        (["::"], "::1"),
        (["::1"], "::1"),
        (["192.168.1.5"], "192.168.1.5"),
    ],
)
def test_a_port_leads_to_where_it_is_bound(addresses: list[str], target: str) -> None:
    wanted = ports.wanted([container("web", *((address, 8080) for address in addresses))], HERE)
    assert wanted == ({Forward("127.0.0.1", 8080, target): "web"}, {}, {})


def test_it_appears_at_each_address() -> None:
    wanted = ports.wanted([container("web", ("", 8080))], ["127.0.0.1", "::1"])
    assert [forward.spec for forward in wanted.forwards] == [
        "127.0.0.1:8080:127.0.0.1:8080",
        "[::1]:8080:127.0.0.1:8080",
    ]


def test_what_is_not_published_is_not_forwarded() -> None:
    exposed = {"Id": "1", "Names": ["/a"], "Ports": [{"PrivatePort": 80, "Type": "tcp"}]}
    assert ports.wanted([exposed, {"Id": "2", "Ports": None}, {}], HERE) == ({}, {}, {})


@pytest.mark.parametrize("kind", ["udp", "sctp"])
def test_what_ssh_cannot_carry_is_said_once(kind: str) -> None:
    wanted = ports.wanted([container("dns", ("0.0.0.0", 53), ("::", 53), kind=kind)], HERE)
    assert (wanted.forwards, wanted.doubled) == ({}, {})
    assert list(wanted.notes.values()) == [
        f"port 53/{kind} of dns is not forwarded: ssh carries TCP only; reach it at the guest's address"
    ]


def test_a_number_that_two_have_is_said() -> None:
    wanted = ports.wanted([container("b", ("10.0.0.2", 80)), container("a", ("127.0.0.1", 80))], HERE)
    assert wanted.forwards == {Forward("127.0.0.1", 80, "127.0.0.1"): "a"}
    (text,) = wanted.doubled.values()
    assert "port 80 of b at the guest's 10.0.0.2" in text and "leads to a" in text


@pytest.mark.parametrize(
    "entry",
    [
        {"IP": "-oProxyCommand=x", "PublicPort": 80, "Type": "tcp"},
        {"IP": "127.0.0.1:1:x", "PublicPort": 80, "Type": "tcp"},
        {"IP": "fe80::1%x y", "PublicPort": 80, "Type": "tcp"},
        {"IP": "", "PublicPort": 0, "Type": "tcp"},
        {"IP": "", "PublicPort": 65536, "Type": "tcp"},
        {"IP": "", "PublicPort": "80", "Type": "tcp"},
        {"IP": "", "PublicPort": True, "Type": "tcp"},
        {"IP": "", "PublicPort": 80, "Type": ["tcp"]},
        {"IP": 7, "PublicPort": 80, "Type": "tcp"},
        "80",
        None,
    ],
)
def test_a_guest_puts_nothing_into_a_command_line(entry: object) -> None:
    assert ports.wanted([{"Id": "1", "Names": ["/a"], "Ports": [entry]}], HERE) == ({}, {}, {})


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["/web"], "web"),
        (["/app/alias", "/web"], "web"),
        ([], "0123456789ab"),
        (["/a\nb \x1b[0m"], "a?b???0m"),
        ([7], "0123456789ab"),
    ],
)
def test_names_are_one_word(names: list, name: str) -> None:
    assert ports.name_of({"Id": "0123456789abcdef", "Names": names}) == name


FORWARDS = st.sets(
    st.builds(Forward, st.sampled_from(HERE), st.integers(1, 9), st.sampled_from(["127.0.0.1", "10.0.0.2"]))
)


@given(FORWARDS, FORWARDS)
def test_the_difference_makes_one_of_the_other(have: set[Forward], want: set[Forward]) -> None:
    gone, new = ports.difference(have, want)
    assert (have - set(gone)) | set(new) == want
    assert not set(gone) & want and not set(new) & have


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (errno.EADDRINUSE, "", "127.0.0.1:80 is taken on this workstation"),
        (errno.EACCES, "", "have root write `net.ipv4.ip_unprivileged_port_start=80` to a file in /etc/sysctl.d"),
        (errno.EADDRNOTAVAIL, "", "127.0.0.1 is not an address of this workstation"),
        (None, "ssh: no", "ssh: no"),
        (None, "", "ssh did not take it"),
    ],
)
def test_a_port_that_is_refused_has_its_reason(code: int | None, said: str, words: str) -> None:
    text = ports.refused(Forward("127.0.0.1", 80, "127.0.0.1"), "web", code, said)
    assert text.startswith("port 80 of web is not forwarded: ") and words in text


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_taken_port_is_known(address: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as taker:
        try:
            taker.bind((address, 0))
        except OSError:
            pytest.skip(f"there is no {address} here")
        forward = Forward(address, taker.getsockname()[1], "127.0.0.1")
        taker.listen()
        assert ssh.taken(forward) == errno.EADDRINUSE
    assert ssh.taken(forward) is None


# -- troubles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words", "lasting"),
    [
        ("ssh: connect to host 10.0.0.2 port 22: Connection refused", "its sshd does not run (yet)", False),
        ("ssh: connect to host 10.0.0.2 port 22: No route to host", "it is off", False),
        ("ssh: connect to host 10.0.0.2 port 22: Connection timed out", "it does not answer", False),
        ("me@10.0.0.2: Permission denied (publickey).", "does not take the key", True),
        ("Host key verification failed.", "is not pinned", True),
        ("ssh: Could not resolve hostname slipway-lab: Name or service not known", "has no such Host", True),
        ("kex_exchange_identification: Connection closed by remote host", "(ssh: kex_exchange", False),
    ],
)
def test_what_ssh_says_is_said_plainly(said: str, words: str, lasting: bool) -> None:
    trouble = troubles.of_ssh("slipway-lab", ["something before", said])
    assert trouble.text.startswith("slipway-lab ") and words in trouble.text and said in trouble.text
    assert trouble.lasting == lasting


def test_an_impostor_is_told_from_a_host_that_is_unknown() -> None:
    lines = ["@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "Host key verification failed."]
    assert "another than the pinned one" in troubles.of_ssh("slipway-lab", lines).text


def test_an_engine_that_does_not_answer_has_its_reason() -> None:
    assert "in time" in troubles.of_engine("a", "/s", "silent").text
    assert "nothing answers at /s of a" in troubles.of_engine("a", "/s", "closed").text


def test_pauses() -> None:
    assert [troubles.pause(number, False) for number in range(6)] == [0, 0.2, 0.5, 1, 1, 1]
    growing = [troubles.pause(number, True) for number in range(1, 12)]
    assert growing[:4] == [1, 2, 4, 8] and growing == sorted(growing) and growing[-1] == 10
    assert troubles.pause(10**6, True) == 10
    assert max(troubles.patience(number) for number in range(3)) == 12


def test_what_is_a_success() -> None:
    assert troubles.counted(5, True, 60) == 0
    assert troubles.counted(5, False, 60) == 6
    assert troubles.counted(0, True, 0.1) == 1, "one that ends at once is not made anew without a pause"
    assert troubles.pause(troubles.counted(9, True, 0.1), False) == 0.2


KEPT = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["one", "two"]))


@given(KEPT, KEPT)
def test_each_trouble_is_said_once(before: dict[str, str], after: dict[str, str]) -> None:
    assert troubles.news(after, after) == []
    said = troubles.news(before, after)
    assert len(said) == sum(before.get(key) != after.get(key) for key in {*before, *after})


# -- waiting ---------------------------------------------------------------------------------------------------


def test_a_cancellation_that_comes_with_the_result_is_not_lost() -> None:
    """Whoever is cancelled and goes on is waited for in vain."""

    async def both() -> None:
        result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(within(10, result))
        await asyncio.sleep(0)
        result.set_result(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(both())


def test_what_is_late_is_ended() -> None:
    ended = []

    async def late() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(True)

    async def wait() -> int:
        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, late())
        with pytest.raises(KeyError):
            await within(1, fail())
        return await within(1, asyncio.sleep(0, 7))

    async def fail() -> None:
        raise KeyError

    assert asyncio.run(wait()) == 7 and ended == [True]


# -- the configuration -----------------------------------------------------------------------------------------


def test_little_is_needed(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text(json.dumps(WHOLE))
    found = config.read(tmp_path / "lab.json")
    assert (found.remote_socket, found.addresses, found.domain) == ("/run/docker.sock", ("127.0.0.1",), "")
    (tmp_path / "lab.json").write_text(json.dumps({**WHOLE, "machine": {"uri": "qemu:///session", "domain": "lab"}}))
    found = config.read(tmp_path / "lab.json")
    assert (found.uri, found.domain) == ("qemu:///session", "lab")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nmae": "x"}, "nmae is not known; there are name, ssh"),
        ({"name": "../x"}, "name: '../x' is not letters"),
        ({"ssh": "-oProxyCommand=x"}, "ssh: '-oProxyCommand=x' is not a Host"),
        ({"directory": "lab"}, "directory: 'lab' is not an absolute path"),
        ({"socket": "/a:b"}, "socket: '/a:b' is not an absolute path without :"),
        ({"remote_socket": "/%h"}, "remote_socket: '/%h' is not an absolute path without :"),
        ({"socket": "/home/me/lab/lock"}, "socket: '/home/me/lab/lock' is needed for something else"),
        ({"socket": "/" + "x" * 107}, "is too long for a socket, whose path holds 107 bytes"),
        ({"directory": "/" + "x" * 90}, "is too long for a socket, whose path holds 90 bytes"),
        ({"machine": {"uri": "qemu:///session"}}, "is not an object of uri and domain"),
        ({"machine": {"uri": "qemu:///session", "domain": "--all"}}, "machine.domain: '--all' is not"),
        ({"machine": []}, "machine: [] is not an object"),
        ({"addresses": []}, "addresses: [] is not a list"),
        ({"addresses": ["localhost"]}, "addresses: 'localhost' is not an address; write 127.0.0.1"),
    ],
)
def test_mistakes_have_place_value_and_way_out(changes: dict, words: str) -> None:
    (said,) = config.mistakes({**WHOLE, **changes})
    assert words in said


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text('{"name": 7, "addresses": [1], "x": 1}')
    with pytest.raises(config.ConfigWrong) as wrong:
        config.read(tmp_path / "lab.json")
    assert len(str(wrong.value).splitlines()) == 6
    assert list(config.mistakes([])) == ["is not an object"]


# -- the command line of ssh, and whose a process is -----------------------------------------------------------


@pytest.fixture
def lab(tmp_path: Path) -> config.Config:
    found = config.Config("lab", "slipway-lab", tmp_path / "lab", tmp_path / "lab" / "docker.sock")
    place.have(found)
    return found


def test_ssh_asks_nobody_and_trusts_nobody(lab: config.Config) -> None:
    words = ssh.command(lab, 4)
    assert {
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ControlPersist=no",
        "StreamLocalBindMask=0177",
        "ConnectTimeout=4",
    } <= set(words)
    assert words[-1] == "slipway-lab" and f"{lab.socket}:/run/docker.sock" in words


def test_an_orphan_is_known_by_its_control_socket(lab: config.Config) -> None:
    control = str(lab.control).encode()
    words = [word.encode() for word in ssh.command(lab, 4)]
    assert place.holds(words, control)
    assert place.holds([b"/usr/bin/ssh", *words[1:]], control)
    assert not place.holds(words, control + b"2")
    assert not place.holds([b"vi", *words[1:]], control)
    assert not place.holds([b"ssh", b"-S", control, b"-O", b"exit", b"x"], control), "one that only asks"
    assert not place.holds([b""], control)


def test_a_number_in_the_lock_is_believed_only_of_its_owner(lab: config.Config) -> None:
    lock = place.Lock(lab)
    assert lock.owner() == 0
    assert lock.take() and place.Lock(lab).owner() == os.getpid()
    assert not place.Lock(lab).take(0.05)
    lock.leave()
    assert lock.owner() == 0
    lock.path.write_text("1\n")
    with lock.path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert lock.owner() == -1, "somebody has it, who is not the one that is noted"


def test_what_somebody_listens_on_is_left_alone(lab: config.Config) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(lab.socket))
        listener.listen()
        with pytest.raises(place.PlaceFailed, match="another process listens"):
            place.clear(lab)
    place.clear(lab)
    assert not lab.socket.exists()
    lab.socket.write_text("precious")
    with pytest.raises(place.PlaceFailed, match="is no socket"):
        place.clear(lab)
    assert lab.socket.read_text() == "precious"


def test_the_directory_is_for_its_user_alone(lab: config.Config) -> None:
    lab.directory.chmod(0o755)
    place.have(lab)
    assert lab.directory.stat().st_mode & 0o777 == 0o700


def test_a_full_disk_ends_nothing(lab: config.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written down is with what is told next, changed or not."""
    said: list[str] = []
    forwarder = Forwarder(lab, said.append)

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(place, "write_status", full)
        forwarder.trouble("ssh", "it does not answer")
    assert said and not (lab.directory / "status.json").exists()
    forwarder.tell()
    assert json.loads((lab.directory / "status.json").read_text())["problems"] == ["it does not answer"]


# -- the command -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["module", "directory", "archive"])
def test_it_is_run_in_three_ways(way: str, tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text(json.dumps({**WHOLE, "directory": str(tmp_path), "socket": f"{tmp_path}/s"}))
    words = {
        "module": ["-m", "slipway_desktop"],
        "directory": [str(PROGRAM)],
        "archive": [str(tmp_path / "program.pyz")],
    }[way]
    if way == "archive":
        pack = ["-m", "zipapp", str(PROGRAM.parent), "-m", "slipway_desktop.__main__:main", "-o", words[0]]
        subprocess.run([sys.executable, *pack], check=True)
    done = subprocess.run(
        [sys.executable, "-B", *words, "status", "--json", str(tmp_path / "lab.json")],
        capture_output=True, text=True, cwd=PROGRAM.parent if way == "module" else tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert (said["running"], said["connected"], said["problems"]) == (False, False, ["nothing runs for lab"])


def test_a_wrong_file_is_said_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text("{}")
    line = [sys.executable, "-B", str(PROGRAM), "run", str(tmp_path / "lab.json")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[0] == f"{tmp_path}/lab.json: name is missing"


def test_what_may_pass_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """With it systemd starts the program again, as it does not with what somebody has to mend."""
    (tmp_path / "lab.json").write_text(json.dumps({**WHOLE, "directory": f"{tmp_path}/lab.json/x"}))
    line = [sys.executable, "-B", str(PROGRAM), "run", str(tmp_path / "lab.json")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    unit = (PROGRAM.parents[1] / "templates" / "desktop.service.j2").read_text()
    assert "RestartPreventExitStatus=2 3\n" in unit


@pytest.mark.parametrize("path", sorted(PROGRAM.glob("*.py")), ids=lambda path: path.name)
def test_it_needs_an_old_python_and_nothing_else(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not getattr(node, "level", 0):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "slipway_desktop"}
