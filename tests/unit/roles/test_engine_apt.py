# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role `engine` makes of apt's sources, keys and versions, and of package files."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import INSTALLED

SPEC = importlib.util.spec_from_file_location("engine_apt", INSTALLED / "roles" / "engine" / "files" / "apt.py")
apt = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(apt)

DOCKER = "https://download.docker.com/linux/debian"
LINE = f"deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.gpg] {DOCKER} bookworm stable"


# --- Sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        f"deb {DOCKER}/ bookworm stable",
        f"deb-src {DOCKER} bookworm stable",
        f"   deb [ signed-by=/usr/share/keyrings/docker-archive-keyring.gpg ]   {DOCKER}  trixie stable test",
        "deb http://download.docker.com/linux/ubuntu noble stable",
        "deb https://mirror.example.org/docker/debian/ bookworm stable",
        "deb https://user:word@mirror.example.org/docker/debian bookworm stable",
    ],
)
def test_every_spelling_of_a_line_is_known(line):
    mirror = "https://mirror.example.org/docker/debian"
    assert apt.without(line + "\n", mirror) == ""
    assert apt.without(f"# mine\n{line}\ndeb http://deb.debian.org/debian bookworm main\n", mirror) == (
        "# mine\ndeb http://deb.debian.org/debian bookworm main\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# deb https://download.docker.com/linux/debian bookworm stable\n",
        "deb https://mirror.example.org/docker bookworm main\n",
        "deb https://download.docker.com.example.org/linux/debian bookworm stable\n",
        "deb http://deb.debian.org/debian bookworm main # not https://download.docker.com/linux/debian\n",
    ],
)
def test_other_lines_are_left_alone(text):
    assert apt.without(text) == text


STANZA = f"Types: deb\nURIs: {DOCKER}\nSuites: bookworm\nComponents: stable\nSigned-By: /etc/apt/keyrings/docker.asc\n"
OTHER = "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\nComponents: main\n"


def test_stanzas_go_one_by_one():
    assert apt.without(STANZA, deb822=True) == ""
    assert apt.without(f"{OTHER}\n{STANZA}", deb822=True) == OTHER
    assert apt.without(f"{STANZA}\n\n# mine\n{OTHER}", deb822=True) == f"# mine\n{OTHER}"
    assert apt.without(f"# only this\n\n{STANZA}", deb822=True) == ""


def test_a_stanza_with_several_uris_keeps_the_others():
    both = OTHER.replace("URIs: ", f"URIs: {DOCKER}\n ")
    assert apt.without(both, deb822=True) == OTHER


@pytest.mark.parametrize("text", [OTHER, f"Enabled: no\n{STANZA}", f"#{STANZA}".replace("\n", "\n#"), ""])
def test_other_stanzas_and_those_switched_off_are_left_alone(text):
    assert apt.without(text, deb822=True) == text


# --- Keys ------------------------------------------------------------------------------------------------------------


def key(size: int = 51) -> tuple[bytes, str]:
    """A primary key in a packet of the new form, with something else behind it; and its fingerprint."""
    body = b"\x04" + bytes(range(size - 1))
    packets = b"\xc6" + bytes([size]) + body + b"\xcd\x04Test"
    return packets, hashlib.sha1(b"\x99" + struct.pack(">H", size) + body).hexdigest().upper()


def test_a_key_has_one_fingerprint_armored_or_not():
    packets, fingerprint = key()
    assert apt.fingerprints(packets) == [fingerprint]
    assert apt.fingerprints(apt.armored(packets).encode()) == [fingerprint]
    assert apt.armored(apt.armored(packets).encode()) == apt.armored(packets)
    headed = apt.armored(packets).replace("\n\n", "\nVersion: 1\nComment: x\n\n").replace("-----END", "=abcd\n-----END")
    assert apt.fingerprints(headed.encode()) == [fingerprint]


def test_a_second_key_is_seen():
    one, other = key(51), key(60)
    assert apt.fingerprints(one[0] + other[0]) == [one[1], other[1]]
    assert apt.fingerprints((apt.armored(one[0]) + apt.armored(other[0])).encode()) == [one[1], other[1]]


@pytest.mark.parametrize(
    "data", [b"", b"<html>not found</html>", b"\xc6\x33\x04cut", b"-----BEGIN PGP x-----\n\n!\n-----END PGP"]
)
def test_what_is_no_key_has_none(data):
    assert apt.fingerprints(data) == []


def test_gpg_reads_the_same(tmp_path):
    """The real tool on a real key, where there is one: apt's own, as Debian ships it."""
    ring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    try:
        command = ["gpg", "--homedir", str(tmp_path), "--batch", "--show-keys", "--with-colons", str(ring)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("gpg or Debian's keys are not here")
    primary = re.findall(r"(?m)^pub:.*\n(?:rvk:.*\n)*fpr:+([0-9A-F]+):", said)
    assert sorted(apt.fingerprints(ring.read_bytes())) == sorted(primary) and primary


@pytest.fixture
def root(tmp_path):
    for folder in ("etc/apt/sources.list.d", "etc/apt/keyrings", "etc/apt/trusted.gpg.d", "usr/share/keyrings"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def request(**more: str) -> dict:
    path, place = "/etc/apt/sources.list.d/docker.sources", "/etc/apt/keyrings/docker.asc"
    return {"path": path, "key": place, "text": STANZA, "fingerprint": key()[1], "mirror": DOCKER, **more}


def test_a_host_without_it(root):
    assert apt.listing(request(), root) == {
        "spellings": [],
        "stale": [],
        "written": False,
        "source": False,
        "key": False,
    }


def test_a_host_that_has_it_as_it_should_be(root):
    (root / "etc/apt/sources.list.d/docker.sources").write_text(STANZA)
    (root / "etc/apt/keyrings/docker.asc").write_text(apt.armored(key()[0]))
    assert apt.listing(request(), root) == {"spellings": [], "stale": [], "written": True, "source": True, "key": True}
    assert not apt.listing(request(fingerprint="0" * 40), root)["key"]


def test_files_and_keys_are_known_by_what_they_hold(root):
    parts = root / "etc/apt/sources.list.d"
    (root / "etc/apt/sources.list").write_text(f"deb http://deb.debian.org/debian bookworm main\n{LINE}\n")
    for name in (
        "docker.list",
        "archive_uri-https_download_docker_com.list",
        "download_docker_com_linux_debian.list",
        "docker.list.save",
    ):
        (parts / name).write_text(LINE + "\n")
    (parts / "other.sources").write_text(OTHER + "Signed-By: /usr/share/keyrings/shared.gpg\n")
    for name in ("etc/apt/keyrings/docker.gpg", "etc/apt/trusted.gpg.d/anything.gpg", "usr/share/keyrings/shared.gpg"):
        (root / name).write_bytes(key()[0])
    (root / "usr/share/keyrings/two.gpg").write_bytes(key()[0] + key(60)[0])
    found = apt.listing(request(), root)
    assert {entry["path"]: entry["after"] for entry in found["spellings"]} == {
        "/etc/apt/sources.list": "deb http://deb.debian.org/debian bookworm main\n",
        "/etc/apt/sources.list.d/archive_uri-https_download_docker_com.list": "",
        "/etc/apt/sources.list.d/docker.list": "",
        "/etc/apt/sources.list.d/download_docker_com_linux_debian.list": "",
    }
    assert found["stale"] == ["/etc/apt/keyrings/docker.gpg", "/etc/apt/trusted.gpg.d/anything.gpg"]


# --- Versions --------------------------------------------------------------------------------------------------------

CE = ["docker-ce", "docker-ce-cli"]
ALL = [*CE, "containerd.io"]
OFFERS = {name: ["5:28.10.0-1", "5:28.1.1-1", "5:28.1.0-1", "5:26.1.4-1"] for name in CE}
OFFERS["containerd.io"] = ["1.7.28-1"]
CANDIDATES = {name: versions[0] for name, versions in OFFERS.items()}


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("5:28.1.1-1~debian.12~bookworm", "28.1", True),
        ("5:28.1.1-1~debian.12~bookworm", "5:28.1", True),
        ("5:28.1.1-1~debian.12~bookworm", "28", True),
        ("5:28.1.1-1~debian.12~bookworm", "5:28.1.1-1~debian.12~bookworm", True),
        ("5:28.10.0-1", "28.1", False),
        ("5:28.1.1-1", "8.1", False),
        ("20.10.24+dfsg1-1+deb12u1", "20.10.24+dfsg1", True),
        ("", "28", False),
    ],
)
def test_a_version_begins_at_its_points(version, wanted, fits):
    assert apt.matches(version, wanted) == fits


def chosen(
    version: str,
    installed: dict | None = None,
    upgrading: bool = False,
    offers: dict = OFFERS,
    candidates: dict = CANDIDATES,
) -> dict:
    request = {"version": version, "versioned": CE, "packages": ALL, "companions": ["docker-part", "runc"]}
    return apt.pins({**request, "installed": installed or {}, "upgrading": upgrading}, offers, candidates)


def test_the_highest_that_fits_is_chosen_for_all_alike():
    assert chosen("28.1") == dict.fromkeys(CE, "5:28.1.1-1")
    assert chosen("28") == dict.fromkeys(CE, "5:28.10.0-1")


def test_what_is_there_and_fits_stays_and_the_others_follow():
    installed = {"docker-ce": "5:28.1.0-1", "docker-ce-cli": "5:26.1.4-1"}
    assert chosen("28", installed) == dict.fromkeys(CE, "5:28.1.0-1")
    assert apt.moves(chosen("28", installed), installed) == {"docker-ce-cli": "5:26.1.4-1 -> 5:28.1.0-1"}


def test_an_upgrade_goes_on_from_what_is_there_and_fits():
    installed = dict.fromkeys(CE, "5:28.1.0-1")
    assert chosen("28", installed, upgrading=True) == {**dict.fromkeys(CE, "5:28.10.0-1"), "containerd.io": "1.7.28-1"}
    assert chosen("28.1", installed, upgrading=True)["docker-ce"] == "5:28.1.1-1"
    gone = {name: ["5:26.1.4-1"] if name in CE else versions for name, versions in OFFERS.items()}
    assert chosen("28.1", installed, upgrading=True, offers=gone)["docker-ce"] == "5:28.1.0-1"


def test_latest_is_what_apt_would_take_for_every_package():
    assert chosen("latest", {"docker-ce": "5:26.1.4-1"}) == CANDIDATES
    assert chosen("") == {}


def test_what_has_become_a_package_of_its_own_comes_with_it():
    offers = {**OFFERS, "docker-part": ["5:28.10.0-1", "5:28.1.1-1"], "runc": ["1.1.5-1"]}
    candidates = {**CANDIDATES, "docker-part": "5:28.10.0-1", "runc": "1.1.5-1"}
    assert chosen("28.1", offers=offers, candidates=candidates) == dict.fromkeys([*CE, "docker-part"], "5:28.1.1-1")
    assert "docker-part" not in chosen("26", offers=offers, candidates=candidates)
    # What is needed by the way follows where it is there.
    assert chosen("28", {"runc": "1.0-1"}, upgrading=True, offers=offers, candidates=candidates)["runc"] == "1.1.5-1"
    assert "runc" not in chosen("latest", offers=offers, candidates=candidates)


def test_what_is_not_offered_is_refused_with_what_is():
    with pytest.raises(
        apt.Unavailable, match=r'"26\.2" is not offered\. Offered: docker-ce \(5:28\.10\.0-1, 5:28\.1\.1-1'
    ):
        chosen("26.2")
    with pytest.raises(apt.Unavailable, match=r"docker-ce \(none\)"):
        chosen("28", offers={}, candidates={})


def test_what_apt_would_do_is_read():
    said = (
        "Remv docker-cli [20.10]\nInst runc [1.0-1] (1.1-1 Debian:13 [amd64])\n"
        "Inst docker-part (26.1.5-1 Debian:13 [amd64]) []\nConf runc (1.1-1 Debian:13 [amd64])\n"
    )
    assert apt.changes(said) == {
        "docker-cli": ["20.10", ""],
        "runc": ["1.0-1", "1.1-1"],
        "docker-part": ["", "26.1.5-1"],
    }


def test_what_apt_says_is_read():
    said = (
        " docker-ce | 5:28.1.1-1 | https://x bookworm/stable amd64 Packages\n"
        " docker-ce | 5:28.1.0-1 | https://x bookworm/stable amd64 Packages\n"
        " docker-ce | 5:28.1.0-1 | https://y bookworm/stable amd64 Packages\n"
        " docker.io | 20.10.24 | https://z bookworm/main Sources\n"
    )
    assert apt.madison(said) == {"docker-ce": ["5:28.1.1-1", "5:28.1.0-1"]}
    said = "a:\n  Installed: (none)\n  Candidate: 1-1\n  Version table:\n     1-1 500\nb:\n  Installed: 2\n  Candidate: (none)\n"
    assert apt.policy(said) == {"a": "1-1"}


# --- Upgrades --------------------------------------------------------------------------------------------------------

OFFERED = ["5:26.10.0-1", "5:26.1.5+dfsg1-9", "5:26.1.4-1", "5:20.10.24-1"]


@pytest.fixture
def upgrade(monkeypatch):
    """What is said of an upgrade of docker-ce, on a host whose apt only says what it is told to; dpkg is the real one."""
    real = apt._run

    def asked(
        version: str,
        installed: str = "5:20.10.24-1",
        candidate: str = OFFERED[0],
        broken: str = "",
        fetch: bool = False,
        commands: list | None = None,
    ) -> dict:
        def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
            said = ""
            if commands is not None:
                commands.append(command)
            if "madison" in command:
                said = "".join(f" docker-ce | {one} | http://mirror stable/main amd64 Packages\n" for one in OFFERED)
            elif "policy" in command:
                said = f"docker-ce:\n  Installed: {installed}\n  Candidate: {candidate}\n"
            elif command[0] == "dpkg":
                return real(*command, cwd=cwd)
            elif "--simulate" in command:
                to = next(part for part in command if part.startswith("docker-ce=")).partition("=")[2]
                said = f"Inst docker-ce [{installed}] ({to} Debian [amd64])\n" if to != installed else ""
            failed = bool(broken) and broken in command
            return subprocess.CompletedProcess(command, 100 * failed, said, "W: old\nE: Unable to fetch\n" * failed)

        monkeypatch.setattr(apt, "_run", run)
        monkeypatch.setattr(apt.shutil, "copy2", lambda *_: None)
        names = {"versioned": ["docker-ce"], "packages": ["docker-ce"], "companions": [], "config": "/nowhere"}
        how = {"upgrading": True, "fetch": fetch, "lock_timeout": 7}
        return apt.offers({**names, **how, "version": version, "installed": {"docker-ce": installed}})

    return asked


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("latest", "5:26.10.0-1"),
        ("26.1", "5:26.1.5+dfsg1-9"),
        ("26", "5:26.10.0-1"),
        ("26.1.4", "5:26.1.4-1"),
        ("5:26.1.4-1", "5:26.1.4-1"),
    ],
)
def test_an_upgrade_is_to_a_version_or_to_what_one_begins_with(upgrade, version, found):
    said = upgrade(version)
    assert (said["pins"], said["older"]) == ({"docker-ce": found}, False)
    assert said["changes"] == {"docker-ce": ["5:20.10.24-1", found]}


@pytest.mark.parametrize("version", ["2", "26.2"])
def test_an_upgrade_to_what_nobody_offers_names_what_there_is(upgrade, version):
    assert upgrade(version) == {
        "error": f'engine_version: "{version}" is not offered. Offered: docker-ce ({", ".join(OFFERED)})'
    }


def test_what_is_newer_than_the_candidate_stays(upgrade):
    said = upgrade("latest", installed="5:26.10.0-1", candidate="5:20.10.24-1")
    assert (said["pins"], said["changes"], said["older"]) == ({"docker-ce": "5:26.10.0-1"}, {}, False)


def test_an_older_one_is_no_offer(upgrade):
    said = upgrade("20.10", installed="5:26.10.0-1")
    assert (said["pins"], said["changes"], said["older"]) == ({"docker-ce": "5:20.10.24-1"}, {}, True)


@pytest.mark.parametrize("broken", ["--simulate", "--download-only"])
def test_what_apt_cannot_do_is_said_in_its_own_words(upgrade, broken):
    assert upgrade("26", broken=broken) == {"error": "apt cannot do this: E: Unable to fetch"}


@pytest.mark.parametrize(
    ("fetch", "option", "place"),
    [(True, "DPkg::Lock::Timeout=7", "=/var/cache/apt/archives"), (False, "Debug::NoLocking=true", "/cache/archives")],
)
def test_what_is_fetched_for_the_host_waits_for_the_lock_and_nothing_else_does(upgrade, fetch, option, place):
    commands: list = []
    upgrade("26", fetch=fetch, commands=commands)
    fetching = next(command for command in commands if "--download-only" in command)
    assert option in fetching and any(part.endswith(place) for part in fetching)
    assert fetch == ("Debug::NoLocking=true" not in fetching)


# --- Package files ---------------------------------------------------------------------------------------------------

SUM = "sha256:" + "a" * 64


def test_all_that_is_wrong_with_the_files_is_said_at_once():
    files = [
        {"path": "a.deb", "checksum": SUM},
        {"path": "b.deb", "url": "https://x/b.deb", "checksum": "sha256:" + "b" * 64},
        {"checksum": "md5:1"},
        {"path": "c.rpm", "checksum": SUM},
    ]
    assert apt.mistakes(files) == [
        "engine_files[1]: has both path and url; give one of them",
        "engine_files[2]: has no path or url; give one of them",
        'engine_files[2].checksum: "md5:1" is not a checksum; write sha256: and 64 digits, as sha256sum prints them',
        'engine_files[3].path: "c.rpm" is not a package file of this host; its name ends in .deb',
        "engine_files[3]: is the same file as engine_files[0]; leave one of them out",
    ]
    assert apt.mistakes(files[:1]) == []


@pytest.mark.parametrize(
    ("file", "meant"),
    [
        ("debs/docker-ce_5%3a28.3.0-1~debian.12~bookworm_amd64.deb", ("docker-ce", "5:28.3.0-1~debian.12~bookworm")),
        ("https://x/pool/docker-ce-cli_5%3A28.3.0-1_amd64.deb?sig=1", ("docker-ce-cli", "5:28.3.0-1")),
        ("docker.deb", ("", "")),
    ],
)
def test_a_file_that_is_not_here_yet_is_known_by_its_name(file, meant):
    assert apt.named(file) == meant


# --- Locks -----------------------------------------------------------------------------------------------------------


def test_who_holds_a_lock_is_named(tmp_path):
    path = tmp_path / "var/lib/dpkg/lock-frontend"
    path.parent.mkdir(parents=True)
    path.touch()
    request = {"seconds": 0, "root": str(tmp_path)}
    assert apt.lock(request) == {"held": ""}
    take = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", take, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        held = apt.lock(request)["held"]
        assert held.startswith(f"/var/lib/dpkg/lock-frontend is held by process {holder.pid} (")
        assert "fcntl" in held
    finally:
        holder.communicate(b"", timeout=10)
    assert apt.lock(request) == {"held": ""}


def test_the_checksum_of_an_armor_is_not_part_of_the_key():
    packets, _ = key()
    text = f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{base64.b64encode(packets).decode()}\n=AbCd\n-----END PGP PUBLIC KEY BLOCK-----\n"
    assert apt.dearmored(text.encode()) == packets
