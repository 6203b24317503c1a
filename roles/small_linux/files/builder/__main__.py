# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""python3 -m builder DIRECTORY [OPTION ...]: have the small Linux in a directory, and say as JSON what that took. See --help."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from . import assemble, contents, sbom
from .packages import Archive, BuildFailed, Package, Tree, checksum, run, scratch

SBOM = "sbom.spdx.json"
FILES = ("vmlinuz", "initrd", "cmdline", SBOM)
DESCRIPTION = "image.json"  # comes last: while it is there, and says what is there, the image is whole


def main() -> None:
    """Do what the command line says; on failure say why, in one line."""
    options = read(sys.argv[1:])
    try:
        print(json.dumps(have(options), indent=1, sort_keys=True))
    except (BuildFailed, OSError) as error:
        raise SystemExit(f"small Linux: {error}") from None


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="builder", description="Build the small Linux from packages.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="where indexes and packages are kept")
    parser.add_argument("--suite", choices=contents.SUITES, default=contents.SUITES[0])
    parser.add_argument(
        "--architecture", choices=("", *contents.ARCHITECTURES), default="", help="by default that of this host"
    )
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    parser.add_argument("--security-mirror", default="http://deb.debian.org/debian-security", help="empty for none")
    parser.add_argument("--keyring", default="/usr/share/keyrings/debian-archive-keyring.gpg")
    parser.add_argument(
        "--compression", default=contents.COMPRESSION, help="of the packed system, as mksquashfs -comp takes it"
    )
    parser.add_argument("--upgrade", action="store_true", help="make it anew when there are newer packages")
    parser.add_argument("--check", action="store_true", help="only say what would be done")
    return parser.parse_args(arguments)


def have(options: argparse.Namespace) -> dict[str, Any]:
    """Have the image, made anew where there is a reason; the result says which, and describes the image."""
    host = run(["dpkg", "--print-architecture"]).strip()
    architecture = options.architecture or host
    if host not in contents.ARCHITECTURES:
        raise BuildFailed(f"this host is {host}; the image is built on {' or '.join(contents.ARCHITECTURES)}")
    if not Path(options.keyring).is_file():
        raise BuildFailed(f"{options.keyring} is missing, by which packages are known; install debian-archive-keyring")
    mirrors = [mirror for mirror in (options.mirror, options.security_mirror) if mirror]
    request = digest([*scripts(), options.suite, architecture, *mirrors, options.compression])
    there = existing(options.directory)
    reason = why(there, request)
    if not reason and not options.upgrade:
        return result(options.directory, "", there)
    options.cache.mkdir(parents=True, exist_ok=True)
    with (options.cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second waits
        archive = Archive(
            options.cache / f"{options.suite}-{architecture}", options.suite, architecture, mirrors, options.keyring
        )
        archive.update()
        names = [
            *contents.PACKAGES,
            contents.KERNEL.format(architecture=architecture),
        ]
        wanted = archive.closure(names)
        recipe = digest([request, *(package.line for package in wanted)])
        if not reason and there.get("recipe") != recipe:
            reason = "newer packages"
        if not reason or options.check:
            return result(options.directory, reason, there)
        tools = Archive(options.cache / f"{options.suite}-{host}-tools", options.suite, host, mirrors, options.keyring)
        tools.update()
        image = {"architecture": architecture, "recipe": recipe, "request": request, "suite": options.suite}
        done = build(
            options, host, image, archive.fetch(wanted), wanted, tools.fetch(tools.closure(contents.TOOLS)), mirrors
        )
    return result(options.directory, reason, done)


def result(directory: Path, reason: str, image: dict[str, Any]) -> dict[str, Any]:
    """What was done and why, the image, and the option `boot` of a machine that is made from it."""
    said = {"changed": bool(reason), "reason": reason, "image": image}
    if "files" in image:
        of = {
            name: {"source": str(directory.resolve() / name), "checksum": f"sha256:{image['files'][name]}"}
            for name in ("vmlinuz", "initrd")
        }
        said["boot"] = {
            "kernel": of["vmlinuz"],
            "initrd": of["initrd"],
            "cmdline": assemble.cmdline(image["architecture"]),
        }
    return said


def scripts() -> list[str]:
    """The names and checksums of all that has a hand in it."""
    paths = sorted(
        path for path in assemble.HERE.rglob("*") if path.is_file() and not path.name.endswith((".pyc", ".DS_Store"))
    )
    return [f"{path.relative_to(assemble.HERE)} {checksum(path)}" for path in paths]


def digest(lines: Iterable[str]) -> str:
    """A checksum of lines, short enough to be read."""
    return sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()[:16]


def existing(directory: Path) -> dict[str, Any]:
    """What is said of the image that is there; empty when there is none, or something else than it says."""
    try:
        image = json.loads((directory / DESCRIPTION).read_text())
        whole = all(checksum(directory / name) == image["files"][name] for name in FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return image if whole else {"damaged": True}


def why(image: dict[str, Any], request: str) -> str:
    """Why the image that is there will not do; empty when it will."""
    if not image:
        return "missing"
    if image.get("damaged"):
        return "damaged"
    return "" if image.get("request") == request else "made in another way"


def build(
    options: argparse.Namespace,
    host: str,
    image: dict[str, Any],
    files: dict[str, Path],
    packages: Sequence[Package],
    tools: dict[str, Path],
    mirrors: Sequence[str],
) -> dict[str, Any]:
    """Make the image beside what is there, and put it in its place when it is whole."""
    with scratch(options.cache) as place:
        draft = Path(place)
        out, root = draft / "out", draft / "root"
        out.mkdir()
        root.mkdir()
        tree = Tree(files, draft / "packages")
        version = assemble.system(tree, image["architecture"], root)
        vmlinuz = tree.find(f"boot/vmlinuz-{version}")
        shutil.copyfile(vmlinuz, out / "vmlinuz")
        when = tree.newest
        by_name = {package.name: package for package in packages}
        (root / "etc/os-release").write_text(os_release(image, by_name))
        (root / "etc/os-release").chmod(0o644)
        assemble.pack(root, Tree(tools, draft / "tools"), host, draft / "system", when, options.compression)
        (out / "initrd").write_bytes(assemble.initramfs(tree, version, (draft / "system").read_bytes(), when))
        (out / "cmdline").write_text(assemble.cmdline(image["architecture"]) + "\n")
        used = [package for package in packages if package.name in tree.used]
        image.update(kernel=version, engine=by_name["docker.io"].version, packages=len(used))
        known = {name: checksum(out / name) for name in FILES if name != SBOM}
        about = {
            "name": "slipway-small-linux",
            "version": image["recipe"],
            "recipe": image["recipe"],
            "suite": image["suite"],
        }
        document = sbom.document(about, known, used, mirrors, when)
        (out / SBOM).write_text(json.dumps(document, indent=1) + "\n")
        image["files"] = {**known, SBOM: checksum(out / SBOM)}
        image["bytes"] = {name: (out / name).stat().st_size for name in FILES}
        put(out, options.directory, image)
    return image


def os_release(image: dict[str, Any], packages: dict[str, Package]) -> str:
    """What the system says of itself."""
    name = f"Slipway small Linux (Debian {image['suite']}, Docker {packages['docker.io'].version.partition('+')[0]})"
    lines = {
        "NAME": "Slipway small Linux",
        "ID": "slipway-small",
        "ID_LIKE": "debian",
        "PRETTY_NAME": name,
        "BUILD_ID": image["recipe"],
    }
    return "".join(f'{key}="{value}"\n' for key, value in lines.items())


def put(out: Path, directory: Path, image: dict[str, Any]) -> None:
    """Put the files in their place; whoever looks in between finds an image that is whole, or one that is known not to be."""
    directory.mkdir(parents=True, exist_ok=True)
    (out / DESCRIPTION).write_text(json.dumps(image, indent=1, sort_keys=True) + "\n")
    (directory / DESCRIPTION).unlink(missing_ok=True)
    for name in (*FILES, DESCRIPTION):
        new = directory / f".{name}.new"
        shutil.copyfile(out / name, new)
        new.chmod(0o644)
        os.replace(new, directory / name)


if __name__ == "__main__":
    main()
