# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a hypervisor says of its host and of the guests that it runs, and what new machines are therefore made with.

The document: https://libvirt.org/formatcaps.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .markup import parse, root_of
from .uris import is_here

MACHINE_TYPES = {"x86_64": "q35", "aarch64": "virt"}
EMULATED = "so machines are emulated, which is some ten times slower"


@dataclass(frozen=True)
class Capabilities:
    """``host``: its UUID, ``arch``: its architecture, each empty when it is not said; ``offers``: pairs of a guest's architecture and a domain type."""

    host: str = ""
    arch: str = ""
    offers: tuple[tuple[str, str], ...] = ()

    def kinds(self, arch: str = "") -> set[str]:
        """Domain types, of the guests of one architecture when one is given."""
        return {kind for offered, kind in self.offers if arch in ("", offered)}


@lru_cache(maxsize=2)
def read(text: str) -> Capabilities:
    """Read the document; an empty one says nothing."""
    if not text:
        return Capabilities()
    whole = root_of(parse(text))
    guests = [guest.find("arch") for guest in whole.children("guest")]
    offers = [
        (arch.get("name"), kind.get("type")) for arch in guests if arch is not None for kind in arch.children("domain")
    ]
    return Capabilities(whole.said("host/uuid"), whole.said("host/cpu/arch"), tuple(offers))


def defaults(known: Capabilities, uri: str) -> dict[str, Any]:
    """What new machines are made with where nothing was said: arch, machine_type, accelerator, and why that one."""
    arch = known.arch or "x86_64"
    accelerator, why = _accelerator(known.kinds(arch) or known.kinds(), arch, uri)
    return {
        "arch": arch,
        "machine_type": MACHINE_TYPES.get(arch, ""),
        "accelerator": accelerator,
        "accelerator_reason": why,
    }


def _accelerator(kinds: set[str], arch: str, uri: str) -> tuple[str, str]:
    """(domain type, why). Where the processor lacks what KVM needs, KVM may answer and yet start nothing."""
    for kind in ("vbox", "hyperv", "test", "hvf"):
        if kind in kinds:
            return kind, "it is what this hypervisor has"
    if "kvm" not in kinds:
        return "qemu", f"this host has no KVM, {EMULATED}"
    if arch == "x86_64" and is_here(uri) and not _virtualizes():
        return "qemu", f"KVM is there, but the processor has neither vmx nor svm, {EMULATED}"
    return "kvm", "this host has KVM"


def _virtualizes() -> bool:
    """Whether the processor of this host has what KVM needs; yes where it cannot be asked."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return bool(re.search(r"\b(?:vmx|svm)\b", file.read()))
    except OSError:
        return True
