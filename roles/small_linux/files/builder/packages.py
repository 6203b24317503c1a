# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packages of a Debian suite, resolved and fetched by apt with its own checks of signatures, apart from what this host has installed."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

CONFIGURATION = """\
Dir::State::status "{place}/status";
Dir::State::lists "{place}/lists";
Dir::State::extended_states "{place}/extended_states";
Dir::Cache "{place}/cache";
Dir::Etc::sourcelist "{place}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "{user}";
Acquire::Languages "none";
Acquire::Check-Valid-Until "{valid_until}";
Acquire::Retries "3";
"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 1200  # seconds for one of apt's commands


class BuildFailed(Exception):
    """What went wrong, in words for the user."""


@dataclass(frozen=True)
class Package:
    """A package as the archive's signed index describes it."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    sha256: str
    filename: str
    maintainer: str = ""
    homepage: str = ""
    built_using: str = ""

    @property
    def line(self) -> str:
        """What a recipe says of it."""
        return f"{self.name} {self.version} {self.architecture} {self.sha256}"

    @property
    def archive(self) -> str:
        """The name under which apt keeps its file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


class Archive:
    """The archive of one suite for one architecture, seen by a host that has nothing installed."""

    def __init__(self, place: Path, suite: str, architecture: str, mirrors: Sequence[str], keyring: str) -> None:
        self.place = place
        for folder in ("lists/partial", "cache/archives/partial"):
            (place / folder).mkdir(parents=True, exist_ok=True)
        (place / "status").write_text("")
        (place / "sources.list").write_text(sources(suite, mirrors, keyring))
        # A snapshot of the archive is as old as it is.
        valid_until = "false" if any("snapshot.debian.org" in mirror for mirror in mirrors) else "true"
        # Its own user could not write into a directory of ours.
        user = "root" if os.geteuid() == 0 else ""
        (place / "apt.conf").write_text(
            CONFIGURATION.format(place=place, architecture=architecture, user=user, valid_until=valid_until)
        )

    def update(self) -> None:
        """Read the newest index; what is not signed by the keyring is refused."""
        self._run("apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update")

    def closure(self, names: Iterable[str]) -> list[Package]:
        """The newest versions of these packages and of all they depend on, sorted by name."""
        said = self._run("apt-get", "-s", "install", *sorted(names))
        chosen = re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", said, re.MULTILINE)
        wanted = {(name.partition(":")[0], version) for name, version, _architecture in chosen}
        shown = self._run("apt-cache", "show", *(f"{name}={version}" for name, version in sorted(wanted)))
        found = {package.name: package for package in packages(shown) if (package.name, package.version) in wanted}
        missing = {name for name, _version in wanted} - set(found)
        if missing:
            raise BuildFailed(f"apt chose {', '.join(sorted(missing))} and does not say what that is")
        return [found[name] for name in sorted(found)]

    def fetch(self, wanted: Sequence[Package]) -> dict[str, Path]:
        """The files of these packages by name, each with the checksum of the signed index."""
        exact = [f"{package.name}={package.version}" for package in wanted]
        self._run("apt-get", "-qq", "--yes", "--download-only", "install", *exact)
        archives = self.place / "cache" / "archives"
        files = {package.name: archives / package.archive for package in wanted}
        for package in wanted:
            if checksum(files[package.name]) != package.sha256:
                raise BuildFailed(f"{package.archive} is not what the index says; remove {archives} and run it again")
        kept = {path.name for path in files.values()}
        for path in archives.glob("*.deb"):
            if path.name not in kept:
                path.unlink()
        return files

    def _run(self, *command: str) -> str:
        environment = {**os.environ, "APT_CONFIG": str(self.place / "apt.conf"), "LC_ALL": "C", "PATH": PATH}
        return run(command, environment)


def sources(suite: str, mirrors: Sequence[str], keyring: str) -> str:
    """The lines of sources.list: the suite, its updates, and what is fixed for security, where a second mirror has that."""
    suites = [
        (mirrors[0], suite),
        (mirrors[0], f"{suite}-updates"),
        *((url, f"{suite}-security") for url in mirrors[1:]),
    ]
    return "".join(f"deb [signed-by={keyring}] {mirror} {name} main\n" for mirror, name in suites)


def packages(text: str) -> Iterator[Package]:
    """What `apt-cache show` says, as packages."""
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", stanza, re.MULTILINE))
        if "Package" in fields:
            yield _package(fields)


def _package(fields: Mapping[str, str]) -> Package:
    name, version = fields["Package"], fields["Version"]
    # Source: NAME (VERSION), each only where it is another than the package's own.
    source = re.fullmatch(r"(\S+)(?: \((.*)\))?", fields.get("Source", name))
    assert source is not None, fields["Source"]
    return Package(
        name=name,
        version=version,
        architecture=fields["Architecture"],
        source=source[1],
        source_version=source[2] or version,
        sha256=fields["SHA256"],
        filename=fields["Filename"],
        maintainer=fields.get("Maintainer", ""),
        homepage=fields.get("Homepage", ""),
        built_using=", ".join(fields[key] for key in ("Built-Using", "Static-Built-Using") if key in fields),
    )


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return its output; raises BuildFailed with its own words."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment and dict(environment),
            timeout=TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        raise BuildFailed(f"{command[0]} is missing; the image is built on Debian or Ubuntu") from error
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"{' '.join(command[:3])} was not done after {TIMEOUT} s") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise BuildFailed(f"{' '.join(command[:4])}: {'; '.join(said[-4:]) or f'ended with {done.returncode}'}")
    return done.stdout


def checksum(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits; empty when there is no such file."""
    if not path.is_file():
        return ""
    digest = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Tree:
    """What packages hold, unpacked one beside the other; no script of theirs runs.

    ``find`` takes a path as it is in a system whose /bin, /sbin and /lib lead into /usr, whatever the package still says.
    ``used`` are the packages that something was taken from.
    """

    def __init__(self, files: Mapping[str, Path], place: Path) -> None:
        self.used: set[str] = set()
        self.newest = 0
        self._where: dict[str, tuple[str, Path]] = {}
        for name in sorted(files):
            target = place / name
            target.mkdir(parents=True)
            run(["dpkg-deb", "--extract", str(files[name]), str(target)])
            for folder, inner, leaves in os.walk(target):
                # Of directories only those that are links matter.
                for leaf in [*leaves, *(entry for entry in inner if Path(folder, entry).is_symlink())]:
                    path = Path(folder, leaf)
                    self._where.setdefault(merged(str(path.relative_to(target))), (name, path))

    def names(self, folder: str) -> list[str]:
        """The paths of all files below a folder, sorted."""
        return sorted(path for path in self._where if path.startswith(f"{folder}/"))

    def has(self, path: str) -> bool:
        """Whether a package holds it, under this name or as a link to something that is there."""
        return self._follow(path) is not None

    def find(self, path: str) -> Path:
        """The file of this path, links followed; its package counts as used."""
        found = self._follow(path)
        if found is None:
            raise BuildFailed(f"none of the packages holds /{path}; this suite calls it something else")
        name, real = found
        self.used.add(name)
        self.newest = max(self.newest, int(real.stat().st_mtime))
        return real

    def _follow(self, path: str) -> tuple[str, Path] | None:
        for _ in range(10):
            found = self._where.get(path)
            if found is None or not found[1].is_symlink():
                return found
            target = os.readlink(found[1])
            path = merged(os.path.normpath(os.path.join("/", os.path.dirname(path), target)).lstrip("/"))
        return None


def merged(path: str) -> str:
    """A path below /, in a system where /bin, /sbin, /lib and /lib64 are links into /usr."""
    return f"usr/{path}" if path.split("/", 1)[0] in ("bin", "sbin", "lib", "lib64") else path


def scratch(place: Path) -> tempfile.TemporaryDirectory:
    """A directory below this one that goes with whoever holds it."""
    place.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=".draft-", dir=place)
