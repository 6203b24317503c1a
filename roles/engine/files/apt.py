#!/usr/bin/python3
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role has to know of apt before it touches anything. It reads a request (JSON) and prints an answer (JSON).

apt.py look      the versions that are there, what package files hold, and where Docker's repository is named, however it is spelt
apt.py offers    which versions would be offered, and what an upgrade would be: an update in a place of its own, which changes nothing here
apt.py lock      who holds the package manager, if somebody still does after so many seconds
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

DOCKER = "https://download.docker.com/linux"
KEYRINGS = ("etc/apt/keyrings", "etc/apt/trusted.gpg.d", "usr/share/keyrings")
LOCKS = ("var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/lib/apt/lists/lock", "var/cache/apt/archives/lock")
ASIDE = ".slipway-engine."  # what is asked and unpacked beside the host's own
STATUS = "${Package} ${db:Status-Status} ${db:Status-Want} ${Version}\n"
ONE_LINE = re.compile(r"^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)\s")


# --- Keys: RFC 9580, sections 4.2 (packets), 5.5.4 (fingerprints) and 6 (armor) ------------------------------------------


def dearmored(data: bytes) -> bytes:
    """The packets of a key, which may be written in ASCII."""
    if b"-----BEGIN PGP" not in data:
        return data
    packets = b""
    for block in re.findall(rb"-----BEGIN PGP[^\n]*\n(.*?)-----END PGP", data, re.DOTALL):
        body = block.replace(b"\r", b"").split(b"\n\n", 1)[-1]
        packets += base64.b64decode(b"".join(line for line in body.split(b"\n") if not line.startswith(b"=")))
    return packets


def armored(data: bytes) -> str:
    """The same key in ASCII; the checksum is optional."""
    text = base64.b64encode(dearmored(data)).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{lines}\n-----END PGP PUBLIC KEY BLOCK-----\n"


def fingerprints(data: bytes) -> list[str]:
    """The fingerprints of all primary keys in it; none when it is not a key."""
    found = []
    try:
        rest = dearmored(data)
        while rest:
            tag, body, rest = packet(rest)
            if tag == 6:
                if body[0] != 4:
                    return []
                found.append(hashlib.sha1(b"\x99" + struct.pack(">H", len(body)) + body).hexdigest().upper())
    except (IndexError, ValueError, struct.error):
        return []
    return found


def packet(data: bytes) -> tuple[int, bytes, bytes]:
    """The first packet: its tag, its body, and what comes after it."""
    head = data[0]
    if not head & 0x80:
        raise ValueError("not a packet")
    if head & 0x40:
        tag, first = head & 0x3F, data[1]
        if first < 192:
            size, start = first, 2
        elif first < 224:
            size, start = (first - 192 << 8) + data[2] + 192, 3
        elif first == 255:
            size, start = struct.unpack(">I", data[2:6])[0], 6
        else:
            raise ValueError("a key does not come in parts")
    else:
        tag, kind = head >> 2 & 0xF, head & 3
        if kind == 3:
            raise ValueError("a key has a length")
        width = 1 << kind
        size, start = int.from_bytes(data[1 : 1 + width], "big"), 1 + width
    if len(data) < start + size:
        raise ValueError("cut off")
    return tag, data[start : start + size], data[start + size :]


# --- Sources: sources.list(5) --------------------------------------------------------------------------------------------


def is_dockers(uri: str, mirror: str = "") -> bool:
    """Whether a URI is Docker's repository, or this mirror of it, with or without TLS, credentials and a slash at the end."""
    bare = re.sub(r"^[a-z+]+://(?:[^/@]*@)?", "", uri.rstrip("/"))
    return bare.startswith(DOCKER[8:] + "/") or bare == re.sub(r"^[a-z+]+://(?:[^/@]*@)?", "", mirror.rstrip("/"))


def without(text: str, mirror: str = "", deb822: bool = False) -> str:
    """A file of sources without Docker's repository; empty when it names nothing else. What is switched off stays."""
    if not deb822:
        kept = [line for line in text.splitlines() if not _names(line, mirror)]
        return "\n".join(kept) + "\n" if any(ONE_LINE.match(line) for line in kept) else _same(text, kept)
    paragraphs = re.split(r"\n(?:[ \t]*\n)+", text.strip("\n"))
    kept = [rewritten for rewritten in (_paragraph(one, mirror) for one in paragraphs) if rewritten]
    if kept == paragraphs:
        return text
    return "\n\n".join(kept) + "\n" if any(re.search("(?mi)^URIs:", one) for one in kept) else ""


def _names(line: str, mirror: str) -> bool:
    match = ONE_LINE.match(line)
    return bool(match and is_dockers(match.group(1), mirror))


def _same(text: str, kept: list[str]) -> str:
    """A file that names nothing is left alone if it never did."""
    return text if kept == text.splitlines() else ""


def _paragraph(text: str, mirror: str) -> str:
    field = re.compile(r"(?mi)^URIs:((?:.*)(?:\n[ \t]+.*)*)$")
    match = field.search(text)
    if not match or re.search(r"(?mi)^Enabled:\s*(no|false|0|off|without|disable)\s*$", text):
        return text
    uris = match.group(1).split()
    others = [uri for uri in uris if not is_dockers(uri, mirror)]
    if others == uris:
        return text
    return field.sub("URIs: " + " ".join(others), text) if others else ""


def listing(request: dict, root: Path) -> dict:
    """What of the host's sources and keys is to be written, replaced or removed, so that the repository is named once, or not at all.

    In: path, text (empty: not at all), key, fingerprint, mirror. Out: the other files that name it (path, before, after), keys
    that nothing needs any more, and whether its own file and key are as they should be.
    """
    own, key = root / request["path"][1:], root / request["key"][1:]
    spellings, remaining = [], ""
    for path in _source_files(root):
        if path == own:
            continue
        before = path.read_text(errors="surrogateescape")
        after = without(before, request["mirror"], path.suffix == ".sources")
        remaining += after
        if after != before:
            spellings.append({"path": "/" + str(path.relative_to(root)), "before": before, "after": after})
    return {
        "spellings": spellings,
        "stale": _stale_keys(root, request["key"], request["fingerprint"], remaining),
        "written": own.is_file(),
        "source": own.is_file() and own.read_text(errors="replace") == request["text"],
        "key": key.is_file() and fingerprints(key.read_bytes()) == [request["fingerprint"]],
    }


def _source_files(root: Path) -> list[Path]:
    parts = root / "etc/apt/sources.list.d"
    found = [root / "etc/apt/sources.list", *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]
    return [path for path in found if path.is_file()]


def _stale_keys(root: Path, own: str, fingerprint: str, remaining: str) -> list[str]:
    """Other files that hold Docker's key and nothing else, and that no source names."""
    stale = []
    for folder in KEYRINGS:
        for path in sorted((root / folder).glob("*")):
            name = "/" + str(path.relative_to(root))
            other = name != own and path.suffix in (".gpg", ".asc", ".pgp") and name not in remaining
            if other and path.is_file() and fingerprints(path.read_bytes()) == [fingerprint]:
                stale.append(name)
    return stale


# --- Offers --------------------------------------------------------------------------------------------------------------


class Unavailable(Exception):
    """Why the packages cannot be had, and what to do about it."""


def matches(version: str, wanted: str) -> bool:
    """Whether a package's version is the wanted one, or begins with it: 28.3 is 5:28.3.2-1~debian.12, and is not 28.30."""
    for text in (version, version.split(":", 1)[-1]):
        if text.startswith(wanted) and not (wanted[-1:].isdigit() and text[len(wanted) : len(wanted) + 1].isdigit()):
            return True
    return False


def moves(pinned: dict, installed: dict) -> dict:
    """{package: old -> new} for the packages that are there in another version than the pinned one."""
    return {
        name: f"{installed[name]} -> {version}"
        for name, version in sorted(pinned.items())
        if installed.get(name, version) != version
    }


def pins(request: dict, offers: dict, candidates: dict) -> dict:
    """The version that each package is to have, by the request of `offers`.

    Those that carry the engine's version have it alike. Of the others one that is offered in this very version is a part of the engine too (a
    client that has become a package of its own); else they follow `latest` and an upgrade only.
    """
    wanted, installed, upgrading = request["version"], request["installed"], request["upgrading"]
    if not wanted:
        return {}
    chosen: dict = {}
    lacking = []
    for name in request["versioned"]:
        there, listed, candidate = installed.get(name), offers.get(name, []), candidates.get(name)
        if wanted == "latest":
            choice = [candidate] if candidate else []
        else:
            # As the engine's others have it; then what is there stays; then what apt would take; then the highest.
            choice = [*chosen.values(), *([] if upgrading else [there]), candidate, *listed, there]
        fitting = [
            one for one in choice if one in (there, *listed) and (wanted == "latest" or matches(one or "", wanted))
        ]
        if fitting:
            chosen[name] = fitting[0]
        else:
            lacking.append(f"{name} ({', '.join(listed) or 'none'})")
    if lacking:
        raise Unavailable(f'engine_version: "{wanted}" is not offered. Offered: {"; ".join(lacking)}')
    whole = next(iter(chosen.values()), None)
    for name in dict.fromkeys([*request["packages"], *request["companions"]]):
        follows = (wanted == "latest" or upgrading) and (name in request["packages"] or name in installed)
        if name not in chosen and whole in offers.get(name, []):
            chosen[name] = whole
        elif name not in chosen and follows and name in candidates:
            chosen[name] = candidates[name]
    return chosen


def madison(text: str) -> dict:
    """{package: [version, ...]}, highest first, from `apt-cache madison`."""
    offers: dict = {}
    for line in text.splitlines():
        name, version, where = ([part.strip() for part in line.split("|")] + ["", ""])[:3]
        if version and not where.endswith("Sources") and version not in offers.setdefault(name, []):
            offers[name].append(version)
    return offers


def policy(text: str) -> dict:
    """{package: version that apt would take} from `apt-cache policy`."""
    found = re.findall(r"(?m)^(\S+):\n(?:[ \t].*\n)*?[ \t]+Candidate: (\S+)", text)
    return {name: version for name, version in found if version != "(none)"}


def offers(request: dict) -> dict:
    """Versions offered and chosen, and the repository's key; or the error that says why not.

    In: version, versioned, packages, companions (what may come with them), installed, upgrading (bool); for Docker's repository also text, key,
    url and fingerprint of the key; for an upgrade config (path), fetch (bool: what is needed stays in apt's archive) and lock_timeout (seconds).
    Out: pins, moves, key; for an upgrade older (bool) and what `rehearsed` says.
    """
    for path in Path("/var/tmp").glob(f"{ASIDE}*"):
        if path.stat().st_mtime < time.time() - 7200:  # of a run that was killed
            shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=ASIDE, dir="/var/tmp") as name:
        work = Path(name)
        work.chmod(0o755)
        try:
            return _offers(request, work)
        except Unavailable as why:
            return {"error": str(why)}


def _offers(request: dict, work: Path) -> dict:
    for folder in ("lists/partial", "cache/archives/partial", "parts"):
        (work / folder).mkdir(parents=True)
    options = [f"Dir::State::Lists={work}/lists", f"Dir::Cache={work}/cache", "APT::Sandbox::User=root"]
    key = ""
    if request.get("text"):
        key = trusted(request)
        (work / "key.asc").write_text(key)
        (work / "parts/docker.sources").write_text(request["text"].replace(request["key"], f"{work}/key.asc"))
        # Nothing but this repository, and any failure is one.
        options += [
            "Dir::Etc::sourcelist=/dev/null",
            f"Dir::Etc::sourceparts={work}/parts",
            "APT::Update::Error-Mode=any",
        ]
    else:
        for path in Path("/var/lib/apt/lists").glob("*"):
            if path.is_file() and path.name != "lock":
                shutil.copy2(path, work / "lists")
    given = [part for option in options for part in ("-o", option)]
    updated = _run("apt-get", *given, "update")
    said = [line for line in updated.stderr.splitlines() if line[:2] in ("E:", "W:")]
    if key and updated.returncode:
        raise Unavailable(f"{request['url'].rsplit('/', 1)[0]}: apt cannot use this repository: {' '.join(said[:3])}")
    names = [*request["packages"], *request["companions"]]
    offered = madison(_run("apt-cache", *given, "madison", *names).stdout)
    candidates = policy(_run("apt-cache", *given, "policy", *names).stdout)
    for package, version in request["installed"].items():
        if package in candidates and older(candidates[package], version):
            candidates[package] = version
    try:
        chosen = pins(request, offered, candidates)
    except Unavailable as why:
        raise Unavailable(f"{why}{'. apt says: ' + said[0] if said else ''}") from None
    found = {"pins": chosen, "moves": moves(chosen, request["installed"]), "key": key}
    if request["upgrading"]:
        own = request["versioned"][0]
        found["older"] = own in chosen and older(chosen[own], request["installed"].get(own, ""))
        found.update({"changes": {}, "unread": ""} if found["older"] else rehearsed(request, chosen, given, work))
    return found


def older(version: str, than: str) -> bool:
    """Whether a version comes before another, by Debian's rules; nothing comes before none."""
    return bool(than) and _run("dpkg", "--compare-versions", version, "lt", than).returncode == 0


# --- Upgrades ------------------------------------------------------------------------------------------------------------


def rehearsed(request: dict, chosen: dict, given: list[str], work: Path) -> dict:
    """What would change, once all of it has been fetched: changes {package: [old, new]}, and unread: what the new daemon does not take of the
    configuration. It is unpacked for that, and not installed.
    """
    archives = Path("/var/cache/apt/archives") if request["fetch"] else work / "cache/archives"
    install = ["apt-get", *given, "-qq", "--yes", "--no-install-recommends", "--allow-change-held-packages"]
    install += [
        "-o",
        f"Dir::Cache::archives={archives}",
        # What is fetched to a place of its own takes nothing from whoever is at work on the packages.
        "-o",
        f"DPkg::Lock::Timeout={request['lock_timeout']}" if request["fetch"] else "Debug::NoLocking=true",
        "install",
        *(f"{name}={its}" for name, its in sorted(chosen.items())),
    ]
    changed = changes(_told(*install, "--simulate"))
    _told(*install, "--download-only")
    own = request["versioned"][0]
    unread = ""
    if own in changed and Path(request["config"]).is_file():
        unread = _unread(_archive(own, chosen[own], [archives, work], given), request["config"], work)
    return {"changes": changed, "unread": unread}


def changes(said: str) -> dict:
    """{package: [old, new]} from `apt-get --simulate`; a version that is not is empty."""
    found = re.findall(r"(?m)^(Inst|Remv) (\S+)(?: \[([^\]]*)\])?(?: \((\S+))?", said)
    return {name: [old, "" if verb == "Remv" else new] for verb, name, old, new in found}


def _told(*command: str, cwd: Path | None = None) -> str:
    """What apt says, which must not be an error."""
    done = _run(*command, cwd=cwd)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise Unavailable(f"apt cannot do this: {' '.join(errors) or done.stderr.strip() or 'no word from it'}")
    return done.stdout


def _archive(name: str, version: str, folders: list[Path], given: list[str]) -> Path:
    """The file of a package that was fetched; one that lies in a folder of this host was not."""
    pattern = f"{name}_{version.replace(':', '%3a')}_*.deb"
    for folder in folders:
        for path in folder.glob(pattern):
            return path
    _told("apt-get", *given, "-qq", "download", f"{name}={version}", cwd=folders[-1])
    return next(iter(folders[-1].glob(pattern)))


def _unread(package: Path, config: str, work: Path) -> str:
    """What the daemon in a package says of a configuration that it does not take; empty when it takes it, or cannot say."""
    _told("dpkg-deb", "-x", str(package), str(work / "new"))
    daemon = next((path for path in (work / "new").rglob("dockerd") if path.is_file()), None)
    try:
        # It may need a library that comes with it; then only the real start can tell.
        if daemon is None or _run(str(daemon), "--version").returncode:
            return ""
        done = _run(str(daemon), "--validate", "--config-file", config)
    except PermissionError:  # nothing may be run from there
        return ""
    words = (done.stdout + done.stderr).strip()
    if done.returncode == 0 or "unknown flag" in words:
        return ""
    return words.splitlines()[-1].replace(f"unable to configure the Docker daemon with file {config}: ", "")


def trusted(request: dict) -> str:
    """The key that is in place if it is the right one, else the one that the repository has; never another than the pinned one."""
    place, wanted = Path(request["key"]), request["fingerprint"]
    if place.is_file() and fingerprints(place.read_bytes()) == [wanted]:
        return armored(place.read_bytes())
    try:
        with urllib.request.urlopen(request["url"], timeout=60) as answer:
            data = answer.read(1 << 20)
    except (OSError, ValueError) as why:
        reason = getattr(why, "reason", None) or why
        raise Unavailable(
            f"{request['url']} is out of reach: {reason}. Look at the host's network and proxy, or name a mirror in engine_repository_url"
        ) from None
    found = fingerprints(data)
    if found != [wanted]:
        raise Unavailable(
            f"{request['url']}: key fingerprint {wanted} expected, got {', '.join(found) or 'none'}. If Docker has announced "
            "another key, write its fingerprint in engine_repository_key_fingerprint"
        )
    return armored(data)


def _run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


# --- Packages ------------------------------------------------------------------------------------------------------------


def mistakes(files: list[dict]) -> list[str]:
    """What is wrong with the list of package files, each with its place, its value and the way out."""
    found, seen = [], {}
    for index, file in enumerate(files):
        place, given = f"engine_files[{index}]", [key for key in ("path", "url") if file.get(key)]
        checksum = file.get("checksum") or ""
        if len(given) != 1:
            found.append(f"{place}: has {'both path and url' if given else 'no path or url'}; give one of them")
        elif not file[given[0]].split("?")[0].endswith(".deb"):
            found.append(
                f'{place}.{given[0]}: "{file[given[0]]}" is not a package file of this host; its name ends in .deb'
            )
        if not re.fullmatch("sha256:[0-9a-f]{64}", checksum):
            found.append(
                f'{place}.checksum: "{checksum}" is not a checksum; write sha256: and 64 digits, as sha256sum prints them'
            )
        elif checksum in seen:
            found.append(f"{place}: is the same file as engine_files[{seen[checksum]}]; leave one of them out")
        seen.setdefault(checksum, index)
    return found


def named(file: str) -> tuple[str, str]:
    """Package and version by the name of its file, as Debian writes it: docker-ce_5%3a28.3.0-1_amd64.deb."""
    parts = urllib.parse.unquote(file.split("?")[0].rsplit("/", 1)[-1]).split("_")
    return (parts[0], parts[1]) if len(parts) == 3 and parts[2].endswith(".deb") else ("", "")


def look(request: dict) -> dict:
    """What is there, and whether it is what is wanted.

    In: packages, version, versioned, store, files (path or url, checksum), all_files, and for Docker's repository: listing.
    Out: installed {package: version}, held, settled (as to the version); of the package files: mistakes, pins, moves, filed,
    unstaged; and what `listing` says.
    """
    root = Path(request.get("root") or "/")
    query = _run("dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", f"--showformat={STATUS}")
    status = [line.split(" ") for line in query.stdout.splitlines()]
    present = {name: version for name, state, _, version in status if state == "installed"}
    holding = {path.stem: _inside(path) for path in sorted(Path(request["store"]).glob("*.deb"))}
    files = [{**file, "sum": (file.get("checksum") or "").split(":")[-1]} for file in request["files"]]
    pinned = dict(holding.get(file["sum"]) or named(file.get("path") or file.get("url") or "") for file in files)
    pinned.pop("", None)
    filed = sorted({*pinned, *(package for package, _ in holding.values() if package and request["all_files"])})
    packages = {*request["packages"], *filed}
    installed = {name: version for name, version in present.items() if name in packages}
    version, versioned = request["version"], request["versioned"]
    return {
        "installed": installed,
        "held": [name for name, _, want, _ in status if want == "hold" and name in packages],
        "settled": not version
        or (version != "latest" and all(matches(installed.get(name, ""), version) for name in versioned)),
        "mistakes": mistakes(request["files"]),
        "pins": pinned,
        "moves": moves(pinned, installed),
        "filed": filed,
        "unstaged": [file for file in files if file["sum"] not in holding],
        **(listing(request["listing"], root) if request.get("listing") else {}),
    }


def _inside(path: Path) -> tuple[str, str]:
    """Package and version of a package file; empty when it is not one."""
    answer = _run("dpkg-deb", "--show", "--showformat=${Package} ${Version}", str(path))
    name, _, version = answer.stdout.partition(" ")
    return name, version


# --- Locks ---------------------------------------------------------------------------------------------------------------


def holder(path: Path) -> str:
    """Who holds the lock of a file: process and command; empty when nobody does. It is asked, not tried, so nobody notices."""
    try:
        with path.open("rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError:
        return ""
    kind, _, _, _, pid = struct.unpack("hhqqi4x", answer)
    if kind == fcntl.F_UNLCK:
        return ""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = ""
    return f"process {pid} ({command or 'unknown'})" if pid > 0 else "a process outside of this host's view"


def lock(request: dict) -> dict:
    """The lock that is still held after so many seconds, and by whom; empty when none is."""
    end = time.monotonic() + request["seconds"]
    root = Path(request.get("root") or "/")
    while True:
        held = [(name, holder(root / name)) for name in LOCKS]
        held = [(name, by) for name, by in held if by]
        if not held or time.monotonic() >= end:
            return {"held": f"/{held[0][0]} is held by {held[0][1]}" if held else ""}
        time.sleep(0.5)


if __name__ == "__main__":
    json.dump({"look": look, "offers": offers, "lock": lock}[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
