# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Folders of the host in a guest of the system's hypervisor: by virtiofs with all that a file has, and by 9p one that is only to be read."""

from __future__ import annotations

from harness.guest import image_in
from harness.machines import Machines, told


def test_a_folder_is_the_same_on_both_sides(machines: Machines) -> None:
    site, book = (machines.hypervisor.directory / name for name in ("site", "book"))
    for path in (site, book):
        path.mkdir()
        path.chmod(0o755)
        (path / "index").write_text("from the host\n")
    spec = machines.small(
        image_in(machines.hypervisor, "small-folders"), name="web", networks=[{"network": "default"}], timeout=90,
        folders=[{"source": str(site)}, {"source": str(book), "target": "/book", "read_only": True}],
    )  # fmt: skip
    shown = machines.change("machine", project="folders", **spec)["resources"]["machine/web"]

    def ssh(command: str, check: bool = True) -> str:
        return machines.ssh(shown["address"], shown["host_key"], command, check=check)

    lines = told(ssh("cat /sys/firmware/dmi/entries/11-0/raw"))
    assert [line[1:3] for line in lines] == [["/book", "9p"], [str(site), "virtiofs"]]
    for tag, target, kind, options, *_rest in lines:
        ssh(f"mkdir -p {target} && mount -t {kind} -o '{options.replace('nofail', 'rw')}' {tag} {target}")
    assert ssh(f"cat {site}/index /book/index").split("\n") == ["from the host", "from the host"]
    ssh(f"echo from the guest >{site}/back && chown 1234:1234 {site}/back")
    assert (site / "back").read_text() == "from the guest\n" and (site / "back").stat().st_uid == 1234
    ssh("echo no >/book/back", check=False)
    assert not (book / "back").exists(), "the host sees to it, and not the guest"
    machines.change("machine", project="folders", name="web", state="absent")
    assert (site / "index").exists() and (book / "index").exists()
