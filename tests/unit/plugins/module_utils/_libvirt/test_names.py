# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What we name we know again, and nothing else."""

from __future__ import annotations

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import names


@pytest.mark.parametrize("project", ["shop", "a.b/c%d", "slipway"])
@pytest.mark.parametrize(
    ("part", "form", "disk", "generation"),
    [
        ("root-1", "qcow2", "", 1),
        ("root-12", "qcow2", "", 12),
        ("disk-data", "raw", "web/data", 0),
        ("seed", "iso", "", 0),
    ],
)
def test_a_volume_of_ours_is_known_by_its_name(project: str, part: str, form: str, disk: str, generation: int) -> None:
    found = names.volume_of("/pool/" + names.volume(project, "web", part, form), project)
    assert found == names.Volume("web", part)
    assert (found.disk, found.generation) == (disk, generation)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/pool/debian.qcow2",
        "/pool/slipway.other.web.seed.iso",
        "/pool/slipway.shop.web.seed.iso.part",
        "/pool/slipway.shop.web.seed.txt",
        "/pool/" + names.image("0" * 64, "raw"),
    ],
)
def test_what_is_not_of_the_project_is_not(path: str) -> None:
    assert names.volume_of(path, "shop") is None


@pytest.mark.parametrize(
    ("path", "device"),
    [
        ("/pool/slipway.shop.web.root-1.qcow2", "root"),
        ("/pool/slipway.shop.web.root.qcow2", "root"),
        (r"C:\vm\slipway.default.win.root-12.vhdx", "root"),
        ("/pool/slipway.shop.web.seed.iso", "seed"),
        ("/pool/slipway.shop.web.disk-data-1.qcow2", "disk-data-1"),
        ("/pool/slipway.shop.web.console.log", ""),
        ("/pool/slipway.shop.web.seed-1.iso", ""),
        ("/pool/notslipway.shop.web.root-1.qcow2", ""),
    ],
)
def test_a_volume_says_which_device_it_is(path: str, device: str) -> None:
    assert names.device_of(path) == device


@pytest.mark.parametrize(
    ("machine_type", "known_as"),
    [
        ("pc-q35-7.2", "q35"),
        ("q35", "q35"),
        ("pc-i440fx-7.2", "pc"),
        ("pc", "pc"),
        ("virt-9.1", "virt"),
        ("s390-ccw-virtio-8.0", "s390-ccw-virtio"),
        ("", ""),
    ],
)
def test_a_machine_type_is_known_by_its_family(machine_type: str, known_as: str) -> None:
    assert names.family(machine_type) == known_as
    assert names.same_board(known_as, machine_type)


def test_a_version_that_was_asked_for_is_that_version() -> None:
    assert names.same_board("pc-q35-7.2", "pc-q35-7.2")
    assert not names.same_board("pc-q35-7.2", "pc-q35-8.0") and not names.same_board("pc-q35-7.2", "q35")
