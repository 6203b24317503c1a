# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The image of a seed, read back by others: pycdlib, isoinfo, blkid."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
from pathlib import Path

import pycdlib
import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import iso

SEED = {
    "meta-data": b"{}\n",
    "user-data": b"#cloud-config\n{}\n",
    "network-config": b"n" * 5000,
    "host-key": b"private",
    "host-key.pub": b"public",
    "empty": b"",
    "sector": b"s" * iso.SECTOR,
}
MANY = {f"a-name-that-is-long-and-like-the-others-{number:03d}.txt": str(number).encode() for number in range(150)}
EXAMPLES = pytest.mark.parametrize("files", [SEED, MANY, {"one": b"1"}, {}], ids=["seed", "many", "one", "none"])


def through(image: bytes, tree: str) -> dict[str, bytes]:
    """What pycdlib finds in one of the trees."""
    disc = pycdlib.PyCdlib()
    disc.open_fp(io.BytesIO(image))
    found = {}
    for child in disc.list_children(**{tree: "/"}):
        if child.is_dot() or child.is_dotdot():
            continue
        name = child.rock_ridge.name() if tree == "rr_path" else child.file_identifier()
        name = name.decode("utf-16-be" if tree == "joliet_path" else "ascii")
        content = io.BytesIO()
        disc.get_file_from_iso_fp(content, **{tree: f"/{name}"})
        found[name] = content.getvalue()
    disc.close()
    return found


@EXAMPLES
@pytest.mark.parametrize("tree", ["joliet_path", "rr_path"])
def test_every_file_is_there_under_its_name(files: dict[str, bytes], tree: str) -> None:
    assert through(iso.image(files), tree) == files


def test_level_1_names_are_short_and_no_two_alike() -> None:
    found = through(iso.image(MANY), "iso_path")
    assert sorted(found.values()) == sorted(MANY.values())
    assert all(len(name) <= len("EIGHTCHR.TXT;1") for name in found)
    assert "USER_DAT.;1" in through(iso.image(SEED), "iso_path")


def test_the_same_files_are_the_same_image() -> None:
    """The digest is written down, so that an image made next year, by another Python, is still the same."""
    image = iso.image(SEED)
    assert image == iso.image(dict(reversed(SEED.items())))
    assert hashlib.sha256(image).hexdigest() == "1fd9a080652538d7b63adfbad89495542b4999626b04341201331fb4d407b986"
    assert len(image) % iso.SECTOR == 0


def test_it_belongs_to_root_alone() -> None:
    disc = pycdlib.PyCdlib()
    disc.open_fp(io.BytesIO(iso.image(SEED)))
    for child in disc.list_children(rr_path="/"):
        record = child.rock_ridge.dr_entries.px_record
        assert record.posix_file_mode & 0o077 == 0
        assert (record.posix_user_id, record.posix_group_id) == (0, 0)
    disc.close()


@pytest.mark.parametrize("name", ["", "User-Data", "a/b", "../a", "-a", "a" * 65, "ä", "a b", "a\n"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a name on a seed"):
        iso.image({name: b""})


@pytest.mark.skipif(not shutil.which("isoinfo"), reason="needs isoinfo, of the package genisoimage")
@EXAMPLES
@pytest.mark.parametrize("tree", ["-J", "-R"])
def test_isoinfo_reads_it(tmp_path: Path, files: dict[str, bytes], tree: str) -> None:
    path = tmp_path / "seed.iso"
    path.write_bytes(iso.image(files))

    def isoinfo(*words: str) -> bytes:
        return subprocess.run(["isoinfo", "-i", path, tree, *words], check=True, capture_output=True).stdout

    assert sorted(isoinfo("-f").decode().split()) == sorted(f"/{name}" for name in files)
    for name in list(files)[:8]:
        assert isoinfo("-x", f"/{name}") == files[name]


@pytest.mark.skipif(not shutil.which("blkid", path="/usr/sbin:/sbin:/usr/bin"), reason="needs blkid")
def test_cloud_init_finds_its_label(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    path.write_bytes(iso.image(SEED))
    blkid = shutil.which("blkid", path="/usr/sbin:/sbin:/usr/bin")
    found = subprocess.run([blkid, "-p", "-o", "export", path], check=True, capture_output=True, text=True).stdout
    assert "LABEL=cidata" in found.splitlines()
    assert "TYPE=iso9660" in found.splitlines()
