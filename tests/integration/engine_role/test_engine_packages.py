# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the role `engine` comes by its packages: on real Debian hosts, with a signed repository that runs in them and packages made from the real engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.hosts import changed
from role import LAB, prepare, role

URL = "http://127.0.0.1:8099"
OLD, NEWER, NEWEST = "5:27.5.1-1~debian", "5:28.3.0-1~debian", "5:28.3.2-1~debian"

pytestmark = [pytest.mark.molecule, pytest.mark.slow]


class Host:
    """A Debian host with a repository of its own, which is not yet known to it."""

    def __init__(self, name: str, suite: str, folder: Path) -> None:
        self.name, self.suite, self.folder = name, suite, folder
        prepare(folder, name)
        self.fingerprint = ""

    def sh(self, command: str, check: bool = True) -> str:
        return LAB.sh(self.name, command, check=check)

    def publish(self, *versions: str) -> None:
        """Have these versions in the repository too."""
        script = Path(__file__).with_name("repository.py").read_text()
        said = LAB.docker("exec", "-i", self.name, "python3", "-", self.suite, *versions, stdin=script)
        self.fingerprint = said.split()[-1]

    def serve(self) -> None:
        LAB.docker(
            "exec", "-d", self.name, "python3", "-m", "http.server", "8099", "-b", "127.0.0.1", "-d", "/srv/repository"
        )
        self.sh(
            "for n in $(seq 50); do python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8099))' && exit; sleep 0.1; done; exit 1"
        )

    def role(self, check: bool = False, status: int = 0, **variables: object) -> str:
        """Run the role with this repository; return what it said."""
        given = {
            "engine_source": "docker",
            "engine_repository_url": URL,
            "engine_repository_key_fingerprint": self.fingerprint,
            "engine_install_sdk": False,
        }
        return role(self.folder, check=check, status=status, **{**given, **variables})

    def fetch(self, path: str) -> Path:
        """Bring a file of the host to the controller."""
        LAB.docker("cp", f"{self.name}:{path}", str(self.folder))
        return self.folder / path.rsplit("/", 1)[-1]

    def version(self, package: str = "docker-ce") -> str:
        return self.sh(f"dpkg-query --show --showformat='${{Version}} ${{db:Status-Abbrev}}' {package}", check=False)

    def daemon(self) -> str:
        """The process of the daemon that answers."""
        self.sh("docker version")
        return self.sh("pidof dockerd").strip()


@pytest.fixture(scope="module")
def lab() -> Iterator[None]:
    yield from LAB.up("bookworm=bookworm", "trixie=trixie")


@pytest.fixture(scope="module")
def host(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Host:
    one = Host("bookworm", "bookworm", tmp_path_factory.mktemp("bookworm"))
    one.publish(OLD, NEWER, NEWEST)
    one.serve()
    return one


def test_the_repository_is_judged_before_anything_is_touched(host: Host) -> None:
    sources = "ls /etc/apt/sources.list.d /etc/apt/keyrings /var/lib/apt/lists"
    before = host.sh(sources, check=False)
    wrong = host.role(status=2, engine_repository_key_fingerprint="0" * 40)
    assert f"key fingerprint {'0' * 40} expected, got {host.fingerprint}" in wrong
    away = host.role(status=2, engine_repository_url="http://127.0.0.1:9")
    assert "http://127.0.0.1:9/debian/gpg is out of reach" in away and "name a mirror in engine_repository_url" in away
    none = host.role(status=2, engine_version="26.1")
    assert '"26.1" is not offered. Offered: docker-ce (5:28.3.2-1~debian, 5:28.3.0-1~debian, 5:27.5.1-1~debian)' in none
    assert host.sh(sources, check=False) == before


def test_check_mode_foretells_and_the_pinned_version_comes(host: Host) -> None:
    foretold = host.role(check=True, engine_version="28.3.0")
    assert f"docker-ce {NEWER}, docker-ce-cli {NEWER}" in foretold and "engine/repository missing" in foretold
    assert not host.version()
    host.role(engine_version="28.3.0", engine_hold=True)
    assert host.version() == f"{NEWER} hi "
    assert host.version("docker-ce-cli") == f"{NEWER} hi "
    assert host.daemon()
    again = host.role(engine_version="28.3.0", engine_hold=True)
    assert changed(again) == 0
    assert changed(host.role(check=True, engine_version="28.3.0", engine_hold=True)) == 0


def test_no_version_is_no_upgrade(host: Host) -> None:
    daemon = host.daemon()
    assert changed(host.role()) == 0
    assert changed(host.role(engine_version="28.3")) == 0
    assert host.version() == f"{NEWER} hi " and host.daemon() == daemon


def test_up_and_down(host: Host) -> None:
    foretold = host.role(check=True, engine_version="latest")
    assert f"docker-ce: {NEWER} -> {NEWEST}, docker-ce-cli: {NEWER} -> {NEWEST}" in foretold
    host.role(engine_version="latest", engine_hold=False)
    assert host.version() == f"{NEWEST} ii " and host.daemon()
    assert changed(host.role(engine_version="latest", engine_hold=False)) == 0
    host.role(engine_version="27")
    assert host.version() == f"{OLD} ii " and host.version("docker-ce-cli") == f"{OLD} ii " and host.daemon()


def test_other_spellings_are_taken_over(host: Host) -> None:
    key = "/usr/share/keyrings/docker-archive-keyring.gpg"
    host.sh(
        f"gpg --dearmor < /srv/repository/debian/gpg > {key}; cp {key} /etc/apt/trusted.gpg.d/docker.gpg;"
        f"echo 'deb [arch=amd64 signed-by={key}] {URL}/debian bookworm stable' > /etc/apt/sources.list.d/docker.list;"
        f"printf '# mine\\ndeb [trusted=yes] file:/srv/other ./\\ndeb {URL}/debian/ bookworm stable\\n' > /etc/apt/sources.list.d/archive_uri-x.list"
    )
    assert "Conflicting values set for option Signed-By" in host.sh("apt-get update 2>&1", check=False)
    foretold = host.role(check=True)
    assert (
        "spelt otherwise: /etc/apt/sources.list.d/archive_uri-x.list, /etc/apt/sources.list.d/docker.list, /etc/apt/trusted.gpg.d/docker.gpg"
        in foretold
    )
    assert "is named elsewhere too: /etc/apt/sources.list.d/archive_uri-x.list" in host.role()
    assert host.sh("cat /etc/apt/sources.list.d/archive_uri-x.list") == "# mine\ndeb [trusted=yes] file:/srv/other ./\n"
    assert host.sh(f"ls {key} /etc/apt/sources.list.d/docker.list /etc/apt/trusted.gpg.d/docker.gpg", check=False) == ""
    host.sh("rm /etc/apt/sources.list.d/archive_uri-x.list; apt-get update")
    assert changed(host.role()) == 0


def test_a_held_lock_is_waited_for_and_its_holder_named(host: Host) -> None:
    daemon = host.daemon()
    take = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep({})"
    LAB.docker("exec", "-d", host.name, "python3", "-c", take.format(60))
    refused = host.role(status=2, engine_version="28.3.2", engine_lock_timeout=2)
    assert re.search(r"/var/lib/dpkg/lock-frontend is held by process \d+ \(python3 -c import fcntl", refused)
    assert "still after 2 seconds" in refused and host.version() == f"{OLD} ii " and host.daemon() == daemon
    host.sh("pkill -f 'import fcntl'", check=False)
    LAB.docker("exec", "-d", host.name, "python3", "-c", take.format(12))
    assert "Waiting up to 60 seconds: /var/lib/dpkg/lock-frontend is held by" in host.role(
        engine_version="28.3.0", engine_lock_timeout=60
    )
    assert host.version() == f"{NEWER} ii "


def test_what_fails_to_install_leaves_the_engine_as_it_was(host: Host) -> None:
    host.publish("5:28.8.0-1~debian=broken", "5:28.9.0-1~debian=dead")
    failed = host.role(status=2, engine_version="28.8")
    assert "returned error exit status 1" in failed
    assert (
        f"As before there are containerd.io 1.7.28-1, docker-ce {NEWER}, docker-ce-cli {NEWER}, and the engine runs"
        in failed
    )
    assert host.version() == f"{NEWER} ii " and host.daemon()
    dead = host.role(status=2, engine_version="28.9", engine_start_timeout=10)
    assert "does not come up with the new packages" in dead or "returned error" in dead
    assert host.version() == f"{NEWER} ii " and host.daemon()
    assert changed(host.role(engine_version="28.3.0")) == 0


def test_an_interrupted_installation_is_finished_and_said(host: Host) -> None:
    host.sh("dpkg --unpack /srv/work/hello_*.deb")
    said = host.role(engine_version="28.3.2")
    assert "WARNING: an installation was interrupted; `dpkg --configure -a` is run once to finish it: hello" in said
    assert host.version("hello").endswith(" ii ") and host.version() == f"{NEWEST} ii "


def test_an_engine_from_elsewhere_is_replaced_only_when_that_is_said(host: Host) -> None:
    before = host.version(), host.daemon()
    refused = host.role(status=2, engine_source="distribution")
    assert "This host has containerd.io, docker-ce, docker-ce-cli" in refused
    assert "Choose the other engine_source to keep it, or write engine_replace_other: true" in refused
    assert (host.version(), host.daemon()) == before
    other = {"engine_source": "distribution", "engine_replace_other": True}
    foretold = host.role(check=True, **other)
    assert "engine/packages replaced: containerd.io, docker-ce, docker-ce-cli" in foretold
    assert (host.version(), host.daemon()) == before
    host.role(**other)
    assert "ii" not in host.version() and host.version("docker.io").endswith(" ii ") and host.daemon()
    assert changed(host.role(**other)) == 0


def test_an_engine_from_elsewhere_stays_and_that_is_said(host: Host) -> None:
    said = host.role(engine_state="absent")
    assert (
        "WARNING: an engine stays: " in said and "docker.io" in said and "name the engine_source it came from" in said
    )
    assert host.version("docker.io").endswith(" ii ") and host.daemon()
    back = host.role(engine_replace_other=True, engine_version="28.3.2", engine_hold=False)
    assert "ii" not in host.version("docker.io") and host.version() == f"{NEWEST} ii " and host.daemon()
    assert changed(back) > 0 and changed(host.role()) == 0


def test_it_goes_with_its_repository_however_spelt(host: Host) -> None:
    host.sh(f"echo 'deb {URL}/debian bookworm stable' > /etc/apt/sources.list.d/download_docker_com_linux_debian.list")
    host.role(engine_state="absent", engine_hold=True)
    assert "ii" not in host.version()
    assert "docker" not in host.sh("ls /etc/apt/sources.list.d /etc/apt/keyrings")
    assert changed(host.role(engine_state="absent")) == 0


@pytest.fixture(scope="module")
def island(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that knows no repository of Docker's: what it gets are files."""
    one = Host("trixie", "trixie", tmp_path_factory.mktemp("trixie"))
    one.publish(OLD, NEWER)
    one.serve()
    # What the engine needs beside its own packages, as a host without repositories must have it.
    one.sh(
        "apt-get -qq install --yes --no-install-recommends iptables tini adduser libdevmapper1.02.1 apparmor >/dev/null"
    )
    one.sh("rm -rf /etc/apt/sources.list.d/* /etc/apt/sources.list /var/lib/apt/lists/*")
    return one


def package_files(host: Host, version: str) -> list[dict[str, str]]:
    """The three packages: two come from the controller, one is fetched by the host."""
    names = {"docker-ce": version, "docker-ce-cli": version, "containerd.io": "1.7.28-1"}
    entries = []
    for name, its in names.items():
        path = host.sh(f"ls /srv/repository/debian/pool/{name}_{its.replace(':', '%3a')}_*.deb").strip()
        entry = {"checksum": "sha256:" + host.sh(f"sha256sum {path}").split()[0]}
        if name == "docker-ce-cli":
            entry["url"] = f"{URL}/debian/pool/{path.rsplit('/', 1)[-1].replace('%', '%25')}"
        else:
            entry["path"] = str(host.fetch(path))
        entries.append(entry)
    return entries


def test_files_are_judged_before_anything_is_touched(island: Host) -> None:
    files = package_files(island, OLD)
    mistaken = [{"path": "a.deb", "checksum": "md5:1"}, {**files[0], "url": f"{URL}/x.deb"}]
    said = island.role(status=2, engine_source="files", engine_files=mistaken, engine_version="28")
    assert "engine_version: has no meaning with engine_source: files" in said
    assert 'engine_files[0].checksum: "md5:1" is not a checksum' in said
    assert "engine_files[1]: has both path and url" in said
    other = [
        {**files[0], "checksum": "sha256:" + "0" * 64},
        {**files[1], "url": files[1]["url"] + ".deb"},
        {"path": "nowhere.deb", "checksum": "sha256:" + "1" * 64},
    ]
    said = island.role(status=2, engine_source="files", engine_files=other)
    assert f"{files[0]['path']}: on the controller its SHA-256 is {files[0]['checksum'][7:]}" in said
    assert "nowhere.deb: on the controller its SHA-256 is none, for it is not there" in said and "404" in said
    assert not island.version() and not island.sh("ls /var/cache/slipway-engine", check=False)
    lacking = island.role(status=2, engine_source="files", engine_files=files[:2])
    assert "Depends: containerd.io" in lacking and "Nothing was installed or removed" in lacking


def test_files_are_installed_at_once_and_changed_by_other_files(island: Host) -> None:
    files = package_files(island, OLD)
    foretold = island.role(check=True, engine_source="files", engine_files=files)
    assert f"containerd.io 1.7.28-1, docker-ce {OLD}, docker-ce-cli {OLD}" in foretold
    assert not island.version()
    island.role(engine_source="files", engine_files=files)
    assert island.version() == f"{OLD} ii " and island.daemon()
    assert changed(island.role(engine_source="files", engine_files=files)) == 0
    assert changed(island.role(check=True, engine_source="files", engine_files=files)) == 0
    newer = package_files(island, NEWER)
    assert f"docker-ce: {OLD} -> {NEWER}" in island.role(check=True, engine_source="files", engine_files=newer)
    island.role(engine_source="files", engine_files=newer)
    assert island.version() == f"{NEWER} ii " and island.daemon()
    assert len(island.sh("ls /var/cache/slipway-engine").split()) == 3
    island.role(engine_source="files", engine_files=newer, engine_state="absent")
    assert "ii" not in island.version() and not island.sh("ls -d /var/cache/slipway-engine", check=False)
