# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""New machines are run in the fastest way that the host really has, and it is said why."""

from __future__ import annotations

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import capabilities

HERE, THERE = "qemu:///system", "qemu+ssh://root@host/system"
TEXT = """\
<capabilities>
  <host><uuid>4c4c4544-0000-5000-8000-000000000001</uuid><cpu><arch>{}</arch></cpu></host>
  <guest><os_type>hvm</os_type><arch name='i686'><wordsize>32</wordsize><domain type='qemu'/></arch></guest>
  <guest><os_type>hvm</os_type><arch name='{}'><wordsize>64</wordsize>{}</arch></guest>
</capabilities>
"""


def known(arch: str, *kinds: str) -> capabilities.Capabilities:
    return capabilities.read(TEXT.format(arch, arch, "".join(f"<domain type='{kind}'/>" for kind in kinds)))


def test_the_document_is_read() -> None:
    found = known("x86_64", "qemu", "kvm")
    assert (found.host, found.arch) == ("4c4c4544-0000-5000-8000-000000000001", "x86_64")
    assert found.offers == (("i686", "qemu"), ("x86_64", "qemu"), ("x86_64", "kvm"))
    assert (found.kinds(), found.kinds("i686")) == ({"qemu", "kvm"}, {"qemu"})


@pytest.mark.parametrize("text", ["", "<capabilities/>", "<capabilities><host/><guest/></capabilities>"])
def test_what_says_nothing_is_taken_for_nothing(text: str) -> None:
    assert capabilities.read(text) == capabilities.Capabilities()
    assert capabilities.defaults(capabilities.read(text), HERE)["arch"] == "x86_64"


@pytest.mark.parametrize(
    ("arch", "kinds", "uri", "virtualizes", "machine_type", "accelerator"),
    [
        ("x86_64", ("qemu", "kvm"), HERE, True, "q35", "kvm"),
        ("x86_64", ("qemu", "kvm"), HERE, False, "q35", "qemu"),
        ("x86_64", ("qemu", "kvm"), THERE, False, "q35", "kvm"),  # another host's processor cannot be looked at
        ("aarch64", ("qemu", "kvm"), HERE, False, "virt", "kvm"),
        ("x86_64", ("qemu",), HERE, True, "q35", "qemu"),
        ("aarch64", ("qemu", "hvf"), "qemu:///session", False, "virt", "hvf"),
        ("x86_64", ("vbox",), "vbox:///session", True, "q35", "vbox"),
        ("riscv64", ("qemu",), HERE, True, "", "qemu"),
    ],
)
def test_new_machines_get_what_suits(
    arch: str,
    kinds: tuple[str, ...],
    uri: str,
    virtualizes: bool,
    machine_type: str,
    accelerator: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capabilities, "_virtualizes", lambda: virtualizes)
    found = capabilities.defaults(known(arch, *kinds), uri)
    assert (found["arch"], found["machine_type"], found["accelerator"]) == (arch, machine_type, accelerator)
    assert ("ten times slower" in found["accelerator_reason"]) == (accelerator == "qemu")
