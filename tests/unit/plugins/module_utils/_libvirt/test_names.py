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
