# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role small_linux: what its builder decides without a network, and that its interface is said once in each place."""

from __future__ import annotations

import base64
import json
import lzma
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "small_linux"
sys.path.insert(0, str(ROLE / "files"))

from builder import __main__ as build  # noqa: E402
from builder import assemble, contents, cpio, elf, kernel, packages, sbom  # noqa: E402

SHOWN = """\
Package: docker.io
Source: docker.io (26.1.5+dfsg1-9+deb13u1)
Version: 26.1.5+dfsg1-9+deb13u1+b1
Maintainer: Debian Go Packaging Team <team@example.org>
Architecture: amd64
Built-Using: containerd (= 1.7.24)
Filename: pool/main/d/docker.io/docker.io_26.1.5_amd64.deb
SHA256: 53ae1a99

Package: linux-image-6.12
Source: linux-signed-amd64
Version: 1:6.12-1
Architecture: amd64
Filename: pool/updates/main/l/linux.deb
SHA256: 0f1e
"""


def load(path: str) -> dict:
    return yaml.safe_load((ROLE / path).read_text())


def shown() -> list[packages.Package]:
    return list(packages.packages(SHOWN))


# -- the interface ------------------------------------------------------------------------------------------------


def test_the_interface_is_the_same_in_all_places() -> None:
    options = load("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load("defaults/main.yml")
    assert list(options) == list(defaults)
    for name, option in options.items():
        assert option["default"] == defaults[name], name
    assert set(re.findall(r"^\| `(small_linux_[a-z_]+)`", (ROLE / "README.md").read_text(), re.MULTILINE)) == set(
        options
    )


def test_the_builder_knows_the_choices_of_the_role() -> None:
    options = load("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert tuple(options["small_linux_suite"]["choices"]) == contents.SUITES
    assert options["small_linux_architecture"]["choices"] == ["", *contents.ARCHITECTURES]
    said = build.read(["/out", "--cache", "/cache"])
    for name in ("suite", "architecture", "mirror", "security_mirror", "keyring"):
        assert getattr(said, name) == options[f"small_linux_{name}"]["default"], name


@pytest.mark.parametrize("path", [*(ROLE / "files/system/usr/lib/slipway").iterdir(), ROLE / "files/first/init"])
def test_scripts_of_the_system_can_be_read_by_a_shell(path: Path) -> None:
    subprocess.run(["sh", "-n", str(path)], check=True)
    second = path.read_text().splitlines()[1] if path.name != "common" else "# "
    assert second.startswith("# "), "each says what it is for"


def test_the_init_table_names_what_is_there() -> None:
    for line in (ROLE / "files/system/etc/inittab").read_text().splitlines():
        for word in re.findall(r"/usr/lib/slipway/(\w+)", line):
            assert (ROLE / "files/system/usr/lib/slipway" / word).exists(), word


# The script's commands that would reach the machine, and what it reads from the kernel, replaced.
STAND_IN = """
state={place}
say() {{ echo "said: $*" >>{place}/said; }}
warn() {{ echo "warned: $*" >>{place}/said; }}
modprobe() {{ :; }}
mkdir() {{ :; }}
rmdir() {{ say "rmdir $*"; }}
stat() {{ echo 1; }}
mount() {{ [ "$5" != missing ] || {{ echo "no such tag"; return 1; }}; printf '%s|' "$@" >>{place}/mounted; }}
"""


def folders(place: Path, *lines: str, text: str | None = None) -> tuple[list[str], list[str]]:
    """What the small Linux mounts for these lines of fstab, and what it says."""
    handed = base64.b64encode("\n".join(lines).encode()).decode() if text is None else text
    strings = b"another\0io.systemd.credential.binary:fstab.extra=" + handed.encode() + b"\0other=x\0\0"
    entry = place / "entries" / "11-0"
    entry.mkdir(parents=True)
    (entry / "raw").write_bytes(b"\x0b\x05\x00\x01\x03" + strings)
    (place / "common").write_text(STAND_IN.format(place=place))
    script = (ROLE / "files/system/usr/lib/slipway/folders").read_text()
    script = script.replace("/usr/lib/slipway/common", f"{place}/common")
    script = script.replace("/sys/firmware/dmi/entries", str(place / "entries"))
    subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    (place / "said").touch()
    (place / "mounted").touch()
    return (place / "mounted").read_text().split("|"), (place / "said").read_text().splitlines()


def test_folders_are_mounted_where_they_are_declared(tmp_path: Path) -> None:
    line = r"folder-01 //nowhere/with\040blank/ 9p trans=virtio,version=9p2000.L,msize=262144,ro,nofail 0 0"
    mounted, said = folders(tmp_path, "# a comment", "", line)
    options = "trans=virtio,version=9p2000.L,msize=262144,ro"
    assert mounted == ["-t", "9p", "-o", options, "folder-01", "/nowhere/with blank", ""]
    assert said == ["said: the folder /nowhere/with blank is the host's, by 9p"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("t /nowhere/x ext4 defaults 0 0", "its type is ext4, and only 9p and virtiofs are taken"),
        ("t nowhere/x 9p trans=virtio 0 0", "the path does not start at the root"),
        ("t /nowhere/../etc virtiofs nofail 0 0", "the path leads back"),
        ("t /nowhere/.. virtiofs nofail 0 0", "the path leads back"),
        ("t / virtiofs nofail 0 0", "the root belongs to the system"),
        *((f"t {place} 9p nofail 0 0", "the place belongs to the system") for place in (
            "/usr", "//etc/x", "/run/", "/dev/shm", "/var/lib/docker/volumes", "/var/lib/slipway", r"/et\143/x", "/tmp", "/root",
        )),
    ],
)  # fmt: skip
def test_folders_stay_out_of_the_system(tmp_path: Path, line: str, why: str) -> None:
    mounted, said = folders(tmp_path, line, "good /nowhere/home virtiofs nofail 0 0")
    assert mounted == ["-t", "virtiofs", "-o", "", "good", "/nowhere/home", ""]
    assert len(said) == 2 and said[0].endswith(f"is left out: {why}")


def test_a_folder_goes_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to("/etc")
    mounted, said = folders(tmp_path, f"t {tmp_path}/away/x 9p trans=virtio 0 0")
    assert mounted == [""]
    assert said == [f"warned: the folder {tmp_path}/away/x is left out: {tmp_path}/away is a link"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    mounted, said = folders(tmp_path, "missing /nowhere/x 9p trans=virtio 0 0")
    assert mounted == [""]
    assert said == ["said: rmdir /nowhere/x", "warned: the folder /nowhere/x is not there: no such tag"]


@pytest.mark.parametrize("text", ["", "!"])
def test_what_is_no_list_of_folders_mounts_none(tmp_path: Path, text: str) -> None:
    mounted, said = folders(tmp_path, text=text)
    assert mounted == [""]
    assert said == (["warned: fstab.extra in the machine's OEM strings is not whole: it is not base64"] if text else [])


# -- packages -----------------------------------------------------------------------------------------------------


def test_packages_are_read_as_apt_shows_them() -> None:
    engine, linux = shown()
    assert (engine.source, engine.source_version) == ("docker.io", "26.1.5+dfsg1-9+deb13u1")
    assert (linux.source, linux.source_version) == ("linux-signed-amd64", "1:6.12-1")
    assert linux.archive == "linux-image-6.12_1%3a6.12-1_amd64.deb"
    assert engine.line == "docker.io 26.1.5+dfsg1-9+deb13u1+b1 amd64 53ae1a99"


def test_a_mirror_without_fixes_has_two_suites() -> None:
    lines = packages.sources("trixie", ["http://a"], "/k").splitlines()
    assert lines == ["deb [signed-by=/k] http://a trixie main", "deb [signed-by=/k] http://a trixie-updates main"]
    assert (
        packages.sources("trixie", ["http://a", "http://b"], "/k")
        .splitlines()[2]
        .endswith("http://b trixie-security main")
    )


@pytest.mark.parametrize(
    ("path", "where"),
    [("bin/sh", "usr/bin/sh"), ("lib64/ld", "usr/lib64/ld"), ("boot/x", "boot/x"), ("usr/bin/sh", "usr/bin/sh")],
)
def test_old_places_are_the_new_ones(path: str, where: str) -> None:
    assert packages.merged(path) == where


def test_the_list_of_parts_is_spdx_and_says_where_each_comes_from() -> None:
    image = {"name": "small", "version": "1", "recipe": "abc", "suite": "trixie"}
    document = sbom.document(image, {"initrd": "00"}, shown(), ["http://main/debian", "http://fixed/debian"], 86400)
    assert document == sbom.document(
        image, {"initrd": "00"}, reversed(shown()), ["http://main/debian", "http://fixed/debian"], 86400
    )
    assert document["spdxVersion"] == "SPDX-2.3" and document["creationInfo"]["created"] == "1970-01-02T00:00:00Z"
    whole, engine, linux = document["packages"]
    assert whole["comment"] == "initrd sha256:00"
    assert (
        engine["externalRefs"][0]["referenceLocator"]
        == "pkg:deb/debian/docker.io@26.1.5%2Bdfsg1-9%2Bdeb13u1%2Bb1?arch=amd64&distro=trixie"
    )
    assert engine["checksums"] == [{"algorithm": "SHA256", "checksumValue": "53ae1a99"}]
    assert engine["sourceInfo"].endswith("docker.io 26.1.5+dfsg1-9+deb13u1")
    assert engine["comment"] == "Built-Using: containerd (= 1.7.24)"
    assert linux["downloadLocation"] == "http://fixed/debian/pool/updates/main/l/linux.deb"
    ids = [part["SPDXID"] for part in document["packages"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", name) for name in ids)
    # What must be there: https://spdx.github.io/spdx-spec/v2.3/package-information/
    for part in document["packages"]:
        assert {"name", "SPDXID", "downloadLocation"} <= set(part)


# -- programs and modules -----------------------------------------------------------------------------------------


def program(libraries: list[str]) -> bytes:
    """A 64-bit ELF file with nothing but a table of the libraries it needs."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in libraries)
    head, segment = 64, 56
    table = head + 2 * segment
    dynamic = table + len(names)
    entries = [(1, 1 + sum(len(other) + 1 for other in libraries[:number])) for number in range(len(libraries))]
    body = b"".join(struct.pack("<QQ", *entry) for entry in [*entries, (5, 0x1000 + table), (0, 0)])
    start = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<QQIHHH", head, 0, 0, 64, segment, 2)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0x1000, 0, dynamic + len(body), 0, 0)
    place = struct.pack("<IIQQQQQQ", 2, 4, dynamic, 0x1000 + dynamic, 0, len(body), 0, 0)
    return start.ljust(head, b"\0") + load + place + names + body


def test_libraries_are_found_by_way_of_others() -> None:
    files = {"liba.so.1": program(["libc.so.6", "libb.so"]), "libb.so": program(["liba.so.1"]), "libc.so.6": b"\x7fELF"}
    assert elf.needed(program(["liba.so.1", "libc.so.6"])) == ["liba.so.1", "libc.so.6"]
    assert elf.closure([program(["liba.so.1"])], files.__getitem__) == ["liba.so.1", "libb.so", "libc.so.6"]


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(60), program([])])
def test_what_needs_no_libraries_has_none(data: bytes) -> None:
    assert elf.needed(data) == []


def module(**said: str) -> bytes:
    return b"\x7fELF....\0" + b"".join(f"{key}={value}".encode() + b"\0" for key, value in said.items())


def modules() -> dict[str, kernel.Module]:
    files = {
        "kernel/a/virtio-net.ko.xz": lzma.compress(module(depends="net_failover,failover", alias="virtio:d00000001v*")),
        "kernel/b/net_failover.ko": module(depends="failover"),
        "kernel/b/failover.ko": module(depends=""),
        "kernel/b/loop.ko": module(depends="", softdep="pre: failover crypto:crc32"),
    }
    return {kernel.name_of(path): kernel.module(path, data) for path, data in files.items()}


def test_modules_come_after_what_they_need() -> None:
    known = modules()
    assert kernel.ordered(["virtio_net", "built_in", "loop"], known) == [
        "failover",
        "net_failover",
        "virtio_net",
        "loop",
    ]
    found = kernel.indexes(known, known)
    assert found["modules.dep"].splitlines() == [
        "failover.ko:",
        "loop.ko: failover.ko",
        "net_failover.ko: failover.ko",
        "virtio_net.ko: net_failover.ko failover.ko",
    ]
    assert found["modules.alias"] == "alias virtio:d00000001v* virtio_net\n"


def test_busybox_says_what_it_can_do() -> None:
    assert assemble.applets(b"\x20[\0[[\0acpid\0zcat\0\0more") == ["[", "[[", "acpid", "zcat"]
    with pytest.raises(packages.BuildFailed, match="form has changed"):
        assemble.applets(b"nothing of the kind")


# -- the image ----------------------------------------------------------------------------------------------------


def test_an_archive_is_the_same_for_the_same_files_and_can_be_unpacked() -> None:
    entries = {
        "init": cpio.file(b"#!/bin/sh\n", 0o755),
        "bin/busybox": cpio.file(b"x" * 5),
        "dev": cpio.folder(),
        "l": cpio.link("init"),
    }
    data = cpio.archive(entries, 86400)
    assert data == cpio.archive(dict(reversed(list(entries.items()))), 86400)
    listed = subprocess.run(["cpio", "-itvn", "--quiet"], input=data, capture_output=True, check=True).stdout.decode()
    found = [(line.split()[0], *line.split()[2:5], line.split(maxsplit=8)[8]) for line in listed.splitlines()]
    assert found == [
        ("drwxr-xr-x", "0", "0", "0", "bin"),
        ("-rw-r--r--", "0", "0", "5", "bin/busybox"),
        ("drwxr-xr-x", "0", "0", "0", "dev"),
        ("-rwxr-xr-x", "0", "0", "10", "init"),
        ("lrwxrwxrwx", "0", "0", "4", "l -> init"),
    ]
    assert len(data) % 4 == 0


def test_an_image_is_made_when_there_is_a_reason(tmp_path: Path) -> None:
    assert build.why(build.existing(tmp_path), "r") == "missing"
    for name in build.FILES:
        (tmp_path / name).write_text(name)
    files = {name: packages.checksum(tmp_path / name) for name in build.FILES}
    (tmp_path / build.DESCRIPTION).write_text(json.dumps({"request": "r", "files": files}))
    assert build.why(build.existing(tmp_path), "r") == ""
    assert build.why(build.existing(tmp_path), "other") == "made in another way"
    (tmp_path / "initrd").write_text("rotten")
    assert build.why(build.existing(tmp_path), "r") == "damaged"
    (tmp_path / build.DESCRIPTION).write_text("{")
    assert build.why(build.existing(tmp_path), "r") == "missing"


def test_the_kernel_is_told_where_to_speak() -> None:
    assert assemble.cmdline("amd64").split()[1] == "console=ttyS0"
    assert assemble.cmdline("arm64").split()[1] == "console=ttyAMA0"
