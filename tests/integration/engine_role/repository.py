# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a signed repository like Docker's on the host where this runs, from the distribution's own engine; print the fingerprint of its key.

repository.py SUITE VERSION[=broken|=dead] ...   a broken package fails to install, the daemon of a dead one does not come up

It is served at http://127.0.0.1:8099, and what was made before stays in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path("/srv/repository")
WORK = Path("/srv/work")
ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "GNUPGHOME": str(WORK / "gnupg")}
CONTROL = """\
Package: {name}
Version: {version}
Architecture: {arch}
Maintainer: Nobody <nobody@example.org>
Section: admin
Priority: optional
Description: stands in for Docker's
"""
RELATIONS = {
    "docker-ce": "Depends: containerd.io, docker-ce-cli, iptables, tini, adduser, libdevmapper1.02.1\nConflicts: docker.io\n",
    "docker-ce-cli": "Conflicts: docker.io, docker-cli\n",
    "containerd.io": "Conflicts: containerd, runc\nProvides: containerd, runc\nReplaces: containerd, runc\n",
}


def run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True).stdout


def unpack() -> dict[str, Path]:
    """The distribution's engine, laid out as Docker's packages are."""
    trees = {name: WORK / name for name in RELATIONS}
    if not WORK.exists():
        WORK.mkdir(parents=True)
        (WORK / "gnupg").mkdir(mode=0o700)
        run("apt-get", "-qq", "update")
        run("apt-get", "-qq", "install", "--yes", "--no-install-recommends", "gpg", "gpg-agent")
        client = ["docker-cli"] if "docker-cli |" in run("apt-cache", "madison", "docker-cli") else []
        run(
            "apt-get",
            "-qq",
            "-o",
            "APT::Sandbox::User=root",
            "download",
            "docker.io",
            "containerd",
            "runc",
            "hello",
            *client,
            cwd=WORK,
        )
        for name, tree in trees.items():
            tree.mkdir()
            for part in {"docker-ce": ["docker.io"], "docker-ce-cli": client, "containerd.io": ["containerd", "runc"]}[
                name
            ]:
                run("dpkg-deb", "-x", str(next(WORK.glob(f"{part}_*.deb"))), str(tree))
        if not client:
            (trees["docker-ce-cli"] / "usr/bin").mkdir(parents=True)
            (trees["docker-ce"] / "usr/bin/docker").rename(trees["docker-ce-cli"] / "usr/bin/docker")
        for path in WORK.glob("*/usr/bin/*"):
            if path.name in ("dnet", "ovrouter", "containerd-stress"):
                path.unlink()
        for tree in trees.values():
            shutil.rmtree(tree / "usr/share", ignore_errors=True)
        control = WORK / "control"
        run("dpkg-deb", "-e", str(next(WORK.glob("docker.io_*.deb"))), str(control))
        run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "Test <test@example.org>", "ed25519", "sign")
    return trees


def build(trees: dict[str, Path], name: str, version: str, kind: str = "") -> None:
    """Make one package file, unless it is there."""
    arch = run("dpkg", "--print-architecture").strip()
    pool = ROOT / "debian/pool"
    pool.mkdir(parents=True, exist_ok=True)
    target = pool / f"{name}_{version.replace(':', '%3a')}_{arch}.deb"
    if target.exists():
        return
    tree = trees[name]
    shutil.rmtree(tree / "DEBIAN", ignore_errors=True)
    if name == "docker-ce":
        shutil.copytree(WORK / "control", tree / "DEBIAN")
        if kind == "broken":
            (tree / "DEBIAN/postinst").write_text("#!/bin/sh\necho 'no luck today' >&2\nexit 1\n")
    (tree / "DEBIAN").mkdir(exist_ok=True)
    (tree / "DEBIAN/md5sums").unlink(missing_ok=True)
    (tree / "DEBIAN/control").write_text(CONTROL.format(name=name, version=version, arch=arch) + RELATIONS[name])
    daemon = tree / "usr/sbin/dockerd"
    if name == "docker-ce" and kind == "dead":
        daemon.rename(WORK / "dockerd")
        daemon.write_text("#!/bin/sh\nexit 1\n")
        daemon.chmod(0o755)
    run("dpkg-deb", "--build", "-Znone", "--root-owner-group", str(tree), str(target))
    if (WORK / "dockerd").exists():
        (WORK / "dockerd").rename(daemon)


def index(suite: str) -> None:
    """Write the lists of what there is, and sign them."""
    base = ROOT / "debian"
    arch = run("dpkg", "--print-architecture").strip()
    entries = []
    for path in sorted((base / "pool").glob("*.deb")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        where = f"Filename: pool/{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"
        entries.append(run("dpkg-deb", "--field", str(path)) + where)
    packages = "\n".join(entries).encode()
    listed = base / f"dists/{suite}/stable/binary-{arch}"
    listed.mkdir(parents=True, exist_ok=True)
    (listed / "Packages").write_bytes(packages)
    release = base / f"dists/{suite}/Release"
    release.write_text(
        f"Origin: Test\nSuite: {suite}\nCodename: {suite}\nArchitectures: {arch}\nComponents: stable\n"
        f"Date: {run('date', '-Ru').strip()}\nSHA256:\n"
        f" {hashlib.sha256(packages).hexdigest()} {len(packages)} stable/binary-{arch}/Packages\n"
    )
    signed = str(release.with_name("InRelease"))
    run("gpg", "--batch", "--yes", "--clearsign", "--output", signed, str(release))
    (base / "gpg").write_text(run("gpg", "--armor", "--export"))


def main() -> None:
    suite, *versions = sys.argv[1:]
    trees = unpack()
    for spec in versions:
        version, _, kind = spec.partition("=")
        build(trees, "docker-ce", version, kind)
        build(trees, "docker-ce-cli", version)
    build(trees, "containerd.io", "1.7.28-1")
    index(suite)
    fingerprints = run("gpg", "--list-keys", "--with-colons")
    print(next(line.split(":")[9] for line in fingerprints.splitlines() if line.startswith("fpr:")))


if __name__ == "__main__":
    main()
