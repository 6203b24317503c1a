# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role machine: what it knows of distributions."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "machine"
NAMES = ("__machine_packages", "__machine_package_query", "__machine_services")


def load(path: str) -> dict:
    return yaml.safe_load((ROLE / path).read_text())


def test_every_distribution_says_the_same_things() -> None:
    files = sorted(path.name for path in (ROLE / "vars").glob("*.yml") if path.stem != "main")
    assert files == ["Alpine.yml", "Archlinux.yml", "Debian.yml", "RedHat.yml", "Suse.yml"]
    for name in files:
        assert set(NAMES) <= set(load(f"vars/{name}")), name


def test_the_tests_bring_what_the_role_asks_for() -> None:
    """Its Molecule scenario shares a file system with this machine, and must find nothing to install."""
    known = load("vars/Debian.yml")
    brought = (ROOT / "requirements" / "debian.txt").read_text().splitlines()
    assert set(known["__machine_common_packages"]) | {"qemu-system-x86"} <= set(brought)


@pytest.mark.parametrize(
    ("release", "package"), [("bookworm", False), ("jammy", False), ("trixie", True), ("noble", True)]
)
def test_what_shares_folders_is_a_package_of_its_own_in_newer_releases(release: str, package: bool) -> None:
    facts = {"distribution_release": release, "architecture": "x86_64"}
    known = {
        name: trust_as_template(value) if isinstance(value, str) else value
        for name, value in load("vars/Debian.yml").items()
    }
    wanted = Templar(DataLoader(), variables={**known, "ansible_facts": facts}).template(known["__machine_packages"])
    assert ("virtiofsd" in wanted) is package
    assert "qemu-system-x86" in wanted
