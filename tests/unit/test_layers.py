# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arrows point inward: modules -> _module and one provider -> _converge; a target needs the standard library, Ansible and the SDK."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

UTILS = Path(__file__).parents[2] / "plugins" / "module_utils"
MODULES = UTILS.parent / "modules"
CORE, PROVIDERS = "_converge", ("_docker", "_libvirt", "_client", "_daemon")
SOURCES = sorted(UTILS.rglob("*.py")) + sorted(MODULES.glob("*.py"))
CONTROLLER = [
    path
    for kind in ("plugin_utils", "action", "inventory", "connection")
    for path in sorted((UTILS.parent / kind).glob("*.py"))
]
# What plugins of the controller may know of what goes to targets.
KNOWN = (
    f"module_utils.{CORE}",
    "module_utils._libvirt",
    "module_utils._daemon.tls_spec",
    "module_utils._certificate",
    "module_utils._whole_file",
)


def imports(path: Path) -> Iterator[str]:
    """Dotted names a file imports; relative ones made absolute from module_utils."""
    inside = path.relative_to(UTILS.parent).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(inside[: len(inside) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module.replace("ansible_collections.slipway.docker.plugins.", "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(UTILS.parent)))
def test_arrows_point_inward(path: Path) -> None:
    place = path.relative_to(UTILS.parent).parts
    for name in imports(path):
        inside = next((part for part in (CORE, *PROVIDERS) if part in place), "")
        others = tuple(f"module_utils.{provider}" for provider in PROVIDERS if provider != inside)
        if inside:
            assert not name.startswith(others), "the core knows no provider, and providers do not know each other"
            assert not name.startswith(("module_utils._module", "ansible")), "neither has ever heard of Ansible"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(UTILS.parent)))
def test_targets_need_nothing_else(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"ansible", "module_utils"}
    for name in imports(path):
        top = name.partition(".")[0]
        if path.name == "engine.py":
            assert top in allowed | {"docker"}
        elif path.name == "hypervisor.py":
            assert top in allowed | {"libvirt"}
        else:
            assert top in allowed, f"{name}: the SDK is imported in engine.py alone"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(UTILS.parent)))
def test_what_goes_to_targets_needs_nothing_of_the_controllers(path: Path) -> None:
    assert not [name for name in imports(path) if "plugin_utils" in name], "Ansible ships module_utils alone"


@pytest.mark.parametrize("path", CONTROLLER, ids=lambda path: str(path.relative_to(UTILS.parent)))
def test_plugins_of_the_controller_know_libvirt_in_one_place(path: Path) -> None:
    """Plugins talk to Ansible, plugin_utils do not; what they know of machines is what the provider knows."""
    inner = path.parent.name == "plugin_utils"
    for name in imports(path):
        top = name.partition(".")[0]
        if top in ("libvirt", "libvirt_qemu"):
            assert inner and path.name == "hypervisor.py", "libvirt is imported in hypervisor.py alone"
        elif top == "ansible":
            assert not inner, "what is known of machines has never heard of Ansible"
        elif top == "module_utils":
            assert name.startswith(KNOWN), "the core, and what is pure of its provider"
        elif top == "cryptography":
            assert inner and path.name == "authority.py", "cryptography is imported in authority.py alone"
        else:
            assert top in set(sys.stdlib_module_names) | {"plugin_utils"}, name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(UTILS.parent)))
def test_sources_run_on_python_3_9(path: Path) -> None:
    """Parsed with the oldest grammar; annotations are not evaluated, so X | None is fine in them."""
    if not path.read_text().strip():
        return
    ast.parse(path.read_text(), feature_version=(3, 9))
    assert "from __future__ import annotations" in path.read_text()


@pytest.mark.parametrize("path", sorted((UTILS / CORE).glob("*.py")), ids=lambda path: path.name)
def test_the_core_names_no_kind(path: Path) -> None:
    """What the core knows of a kind, it knows from the kind."""
    words = {"container", "network", "volume", "image", "machine", "disk", "context"}
    constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    assert not words & {value for value in constants if isinstance(value, str)}
