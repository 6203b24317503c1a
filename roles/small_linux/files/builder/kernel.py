# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel modules: what they need, in which order they load, and the indexes by which modprobe finds them. Pure."""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Module:
    """A module with what its .modinfo section says, see kernel/module.c and `modinfo`."""

    name: str
    data: bytes
    needs: tuple[str, ...]
    wants: tuple[str, ...]
    aliases: tuple[str, ...]


def name_of(path: str) -> str:
    """The name of the module in a file; `-` and `_` are the same to the kernel."""
    return re.sub(r"\.ko(\.\w+)?$", "", path.rpartition("/")[2]).replace("-", "_")


def module(path: str, packed: bytes) -> Module:
    """Read a module, which may be packed with xz."""
    data = lzma.decompress(packed) if path.endswith(".xz") else packed
    said = [(key.decode(), value.decode()) for key, value in re.findall(rb"\0(depends|softdep|alias)=([^\0]*)", data)]
    needs = [name.replace("-", "_") for key, value in said if key == "depends" for name in value.split(",") if name]
    before = [value.split("pre:")[1].split("post:")[0] for key, value in said if key == "softdep" and "pre:" in value]
    wants = [name.replace("-", "_") for names in before for name in names.split() if ":" not in name]
    aliases = [value for key, value in said if key == "alias"]
    return Module(name_of(path), data, tuple(needs), tuple(wants), tuple(aliases))


def ordered(names: Iterable[str], known: Mapping[str, Module]) -> list[str]:
    """These modules and all they need, each after what it needs. What the kernel has built in, or has not at all, is left out."""
    found: dict[str, None] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in found or name in path or name not in known:
            return
        for other in (*known[name].wants, *known[name].needs):
            add(other, (*path, name))
        found[name] = None

    for name in names:
        add(name, ())
    return list(found)


def indexes(names: Iterable[str], known: Mapping[str, Module]) -> dict[str, str]:
    """The files modules.dep and modules.alias, as depmod writes them, for modules that lie in one folder."""
    names = sorted(names)
    needs = {name: [other for other in reversed(ordered([name], known)) if other != name] for name in names}
    aliases = [f"alias {alias} {name}\n" for name in names for alias in known[name].aliases]
    return {
        "modules.dep": "".join(
            f"{name}.ko: {' '.join(f'{other}.ko' for other in needs[name])}".rstrip() + "\n" for name in names
        ),
        "modules.alias": "".join(aliases),
    }
