# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings the tools that we compare with: Docker Compose as Debian packs it, and community.docker in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SUITE, PACKAGE = "trixie", "docker-compose"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def cache() -> Path:
    """Where downloads are kept from one run to the next."""
    return Path(os.environ.get("SLIPWAY_CACHE") or Path.home() / ".cache" / "slipway") / "bench"


def mirror() -> str:
    """The Debian mirror that apt uses on this machine."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if path.is_file():
            for line in path.read_text().splitlines():
                if line.startswith(("deb ", "URIs:")):
                    found = re.search(r"https?://\S+/debian/?(?=\s|$)", line)
                    if found:
                        return found.group()
    return "http://deb.debian.org/debian"


def debian_package(name: str, suite: str, into: Path) -> None:
    """Download one package of a suite and unpack it; apt's own state and sources stay as they are."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        place.chmod(0o755)
        for folder in ("lists/partial", "cache/archives/partial", "parts", "deb"):
            (place / folder).mkdir(parents=True)
        (place / "status").touch()
        (place / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
        settings = {
            "Dir::Etc::sourcelist": place / "sources.list",
            "Dir::Etc::sourceparts": place / "parts",
            "Dir::State::lists": place / "lists",
            "Dir::State::status": place / "status",
            "Dir::Cache": place / "cache",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",
        }
        options = ["-qq", *(f"-o{key}={value}" for key, value in settings.items())]
        subprocess.run(["apt-get", *options, "update"], check=True)
        subprocess.run(["apt-get", *options, "download", name], check=True, cwd=place / "deb")
        (archive,) = (place / "deb").glob("*.deb")
        into.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "-x", str(archive), str(into)], check=True)


def compose() -> str:
    """The path of Docker Compose, downloaded once."""
    place = cache() / f"{PACKAGE}-{SUITE}"
    if not place.exists():
        debian_package(PACKAGE, SUITE, place)
    found = [path for path in place.rglob("docker-compose") if path.is_file() and os.access(path, os.X_OK)]
    if not found:
        raise SystemExit(f"no program docker-compose in {place}; remove that directory and try again")
    return str(found[0])


def environment() -> Path:
    """The bin directory of an environment with what requirements/bench.txt says: this one, else one of its own in build."""
    if (Path(sysconfig.get_path("purelib")) / "ansible_collections" / "community" / "docker").is_dir():
        return Path(sys.executable).parent
    requirements = ROOT / "requirements"
    place = ROOT / "build" / "bench-venv"
    contents = b"".join(path.read_bytes() for path in sorted(requirements.glob("*.txt")))
    mark, wanted = place / "made-from", hashlib.sha256(contents + sys.version.encode()).hexdigest()
    if not mark.exists() or mark.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--requirement", str(requirements / "bench.txt")], check=True)
        mark.write_text(wanted)
    return place / "bin"
