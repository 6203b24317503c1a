# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts the small Linux together: from packages and files of ours to a kernel and an initramfs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import contents, cpio, elf, kernel
from .packages import BuildFailed, Tree, run

HERE = Path(__file__).resolve().parents[1]
SYSTEM, FIRST = HERE / "system", HERE / "first"
# busybox carries the names of its applets, one after the other, from `[` on.
APPLETS = re.compile(rb"(\[\0\[\[\0(?:[a-z0-9_+.-]+\0)+)\0")
PROGRAM_FOLDERS = ("usr/bin", "usr/lib/slipway", "usr/lib/openssh", "etc/acpi")


def system(tree: Tree, architecture: str, root: Path) -> str:
    """Make the tree of the system below ``root``; return the kernel's version."""
    _folders(root)
    shutil.copytree(SYSTEM, root, dirs_exist_ok=True)
    programs = [_put(tree, source, root / "usr/bin" / name) for source, name in contents.PROGRAMS.items()]
    programs += [_put(tree, path, root / path) for path in contents.PLACED if tree.has(path)]
    for path in contents.FILES:
        _put(tree, path, root / path)
    for path, target in contents.LINKS.items():
        (root / path).symlink_to(target)
    _libraries(tree, architecture, root, programs)
    _applets(root)
    certificates = [tree.find(path).read_bytes() for path in tree.names(contents.CERTIFICATES)]
    _write(root / "etc/ssl/certs/ca-certificates.crt", b"".join(certificates))
    version = _kernel_version(tree)
    _modules(tree, version, root)
    _permissions(root)
    return version


def _folders(root: Path) -> None:
    for path in (
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "mnt",
        "root/.ssh",
        "var/lib/docker",
        "var/lib/slipway",
        "var/log",
        "etc/docker",
        "usr/bin",
    ):
        (root / path).mkdir(parents=True)
    for path, target in {
        "usr/sbin": "bin", "bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "/run",
        "etc/mtab": "/proc/self/mounts", "etc/resolv.conf": "/run/resolv.conf", "etc/motd": "/run/motd",
    }.items():  # fmt: skip
        (root / path).symlink_to(target)


def _put(tree: Tree, source: str, target: Path) -> bytes:
    data = tree.find(source).read_bytes()
    _write(target, data)
    return data


def _write(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def _libraries(tree: Tree, architecture: str, root: Path, programs: Iterable[bytes]) -> None:
    """All libraries that the programs need, under the names by which they are asked for."""
    known = contents.ARCHITECTURES[architecture]
    folder = known["libraries"]
    plugins = [path for path in tree.names(f"{folder}/{contents.PLUGINS}") if path.endswith(".so")]
    starts = [*programs, *(_put(tree, path, root / path) for path in plugins)]
    starts += [tree.find(f"{folder}/{name}").read_bytes() for name in contents.OPENED]

    def place(name: str) -> str:
        return f"{folder}/systemd/{name}" if name.startswith("libsystemd-shared") else f"{folder}/{name}"

    for name in (*contents.OPENED, *elf.closure(starts, lambda name: tree.find(place(name)).read_bytes())):
        _put(tree, place(name), root / place(name))
    _put(tree, known["loader"], root / known["loader"])


def _applets(root: Path) -> None:
    """Links for all that busybox can do, where no program of that name is there."""
    for name in applets((root / "usr/bin/busybox").read_bytes()):
        path = root / "usr/bin" / name
        if not path.exists() and not path.is_symlink():
            path.symlink_to("busybox")


def applets(busybox: bytes) -> list[str]:
    """The names of what this busybox can do."""
    found = APPLETS.search(busybox)
    if found is None:
        raise BuildFailed("busybox does not say what it can do; its form has changed")
    return found[1].decode().rstrip("\0").split("\0")


def _kernel_version(tree: Tree) -> str:
    kernels = [path for path in tree.names("boot") if path.startswith("boot/vmlinuz-")]
    if len(kernels) != 1:
        raise BuildFailed(f"there is not one kernel but {len(kernels)}: {', '.join(kernels)}")
    return kernels[0].partition("-")[2]


def known_modules(tree: Tree, version: str) -> dict[str, str]:
    """Where each module of the kernel lies, by its name."""
    paths = tree.names(f"usr/lib/modules/{version}/kernel")
    return {kernel.name_of(path): path for path in paths if ".ko" in path.rpartition("/")[2]}


def _read_modules(tree: Tree, version: str, names: Iterable[str]) -> dict[str, kernel.Module]:
    """These modules and all that they need, by name."""
    where, found, waiting = known_modules(tree, version), {}, list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name in where:
            found[name] = kernel.module(where[name], tree.find(where[name]).read_bytes())
            waiting += [*found[name].needs, *found[name].wants]
    return found


def _modules(tree: Tree, version: str, root: Path) -> None:
    folder = f"usr/lib/modules/{version}"
    prefixes = tuple(f"{folder}/kernel/{path}/" for path in contents.MODULE_FOLDERS)
    chosen = [name for name, path in known_modules(tree, version).items() if path.startswith(prefixes)]
    known = _read_modules(tree, version, [*chosen, *contents.MODULES])
    for name, module in known.items():
        _write(root / folder / f"{name}.ko", module.data)
    for name, text in kernel.indexes(known, known).items():
        _write(root / folder / name, text.encode())
    for name in ("modules.builtin", "modules.order"):
        _put(tree, f"{folder}/{name}", root / folder / name)


def _permissions(root: Path) -> None:
    """Modes do not depend on the mask of whoever builds."""
    for folder, inner, files in os.walk(root):
        for name in inner:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                where = str(path.relative_to(root))
                runs = where.startswith(PROGRAM_FOLDERS) or "/ld-linux" in where
                path.chmod(0o755 if runs else 0o644)
    root.chmod(0o755)
    for path, mode in {
        "root": 0o700,
        "root/.ssh": 0o700,
        "tmp": 0o1777,
        "var/lib/docker": 0o710,
        "etc/shadow": 0o600,
    }.items():
        (root / path).chmod(mode)


def pack(root: Path, tools: Tree, host: str, target: Path, when: int, compression: str) -> None:
    """Pack a tree as squashfs with the tool of the same suite, run by its own loader."""
    known = contents.ARCHITECTURES[host]
    program = tools.find("usr/bin/mksquashfs")
    names = elf.closure([program.read_bytes()], lambda name: tools.find(f"{known['libraries']}/{name}").read_bytes())
    libraries = {str(tools.find(f"{known['libraries']}/{name}").parent) for name in names}
    # Libraries are asked for by names that may be links, which lie beside what they lead to.
    loader = [str(tools.find(known["loader"])), "--library-path", ":".join(sorted(libraries)), str(program)]
    options = [
        "-noappend",
        "-quiet",
        "-no-progress",
        "-no-exports",
        "-no-xattrs",
        "-all-root",
        "-comp",
        *compression.split(),
    ]
    environment = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    run([*loader, str(root), str(target), *options, "-mkfs-time", str(when), "-all-time", str(when)], environment)


def initramfs(tree: Tree, version: str, packed: bytes, when: int) -> bytes:
    """The archive that the kernel unpacks: the first process, what it needs, and the packed system.

    It is not compressed once more: nearly all of it is the packed system, which would not become smaller, only slower.
    """
    known = _read_modules(tree, version, contents.FIRST_MODULES)
    order = kernel.ordered(contents.FIRST_MODULES, known)
    entries = {
        "init": cpio.file((FIRST / "init").read_bytes(), 0o755),
        "bin/busybox": cpio.file(tree.find("usr/bin/busybox").read_bytes(), 0o755),
        "dev": cpio.folder(),
        "modules/order": cpio.file("".join(f"{name}.ko\n" for name in order).encode()),
        **{f"modules/{name}.ko": cpio.file(known[name].data) for name in order},
        "system.squashfs": cpio.file(packed),
    }
    return cpio.archive(entries, when)


def cmdline(architecture: str) -> str:
    """What the kernel is told."""
    return contents.CMDLINE.format(console=contents.ARCHITECTURES[architecture]["console"])
