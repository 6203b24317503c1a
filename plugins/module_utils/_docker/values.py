# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The small languages of Docker options: sizes, durations, ports, mounts, names. Pure; bad input raises ValueError.

The sentences of the errors follow the value's place in a message, so they say what is wrong and what to write instead.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Callable

from .._converge import ports
from .._converge.desired import quote
from .._converge.units import size

DURATION = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)(h|ms|m|us|µs|ns|s)")
NANOSECONDS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1000,
    "µs": 1000,
    "ns": 1,
}
# https://github.com/moby/moby/blob/v26.1.0/daemon/names/names.go
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
# https://github.com/distribution/reference/blob/v0.6.0/regexp.go
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]+\])(?::\d+)?"
REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::[\w][\w.-]{{0,127}})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{{32,}})?"
)
IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_LABEL = r"[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?"
# Signals by their numbers from 1, and the second names of some (signal(7)).
NUMBERED = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT",
    "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
]  # fmt: skip
SECOND_NAMES = {"CLD": "CHLD", "IOT": "ABRT", "POLL": "IO"}
REAL_TIME = {f"RT{edge}{step}" for edge, sign in (("MIN", "+"), ("MAX", "-")) for step in ("", *(f"{sign}{n}" for n in range(1, 16)))}  # fmt: skip
SIGNALS = frozenset(NUMBERED) | frozenset(SECOND_NAMES) | REAL_TIME
CAPABILITIES = frozenset(
    [
        "ALL",
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "BPF",
        "CHECKPOINT_RESTORE",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "PERFMON",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYSLOG",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    ]
)
ULIMITS = frozenset(
    [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ]
)


def memory(value: Any) -> int:
    """A memory limit in bytes; 0 is no limit, else the engine wants at least 6 MiB."""
    number = size(value)
    if 0 < number < 6 << 20:
        raise ValueError(f"{quote(value)} is less than the engine's minimum of 6m; write 6m or more, or 0 for no limit")
    return number


def swap(value: Any) -> int:
    """Memory plus swap in bytes; -1 or "unlimited" is no limit."""
    if str(value).strip().lower() in ("-1", "unlimited"):
        return -1
    return size(value)


def duration(value: Any) -> int:
    """Nanoseconds from 30, "30s" or "1m30s"; a bare number is seconds."""
    text = str(value).strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return round(float(text) * NANOSECONDS["s"])
    parts = DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{quote(value)} is not a duration; write 30s, 1m30s or 500ms")
    total = round(sum(float(number) * NANOSECONDS[unit] for number, unit in parts))
    if total >= 1 << 63:
        raise ValueError(f"{quote(value)} is more than an engine can count; write 30s or 1m30s")
    return total


def nano_cpus(value: float) -> int:
    """Billionths of a processor from a number of processors."""
    if not 0 < value <= 10_000:
        raise ValueError(f"{quote(value)} is not a number of processors; write 0.5 or 2")
    return round(value * 1_000_000_000)


def not_negative(value: int) -> int:
    """A count."""
    if value < 0:
        raise ValueError(f"{quote(value)} is negative; write 0 or more")
    return value


def name(value: str) -> str:
    """A container's, network's or volume's name."""
    if not NAME.fullmatch(value):
        raise ValueError(
            f"{quote(value)} is not a name; use letters, digits, _ . and -, two or more, beginning with a letter or digit"
        )
    return value


def words(value: Any) -> list[str]:
    """A command: a list as it is, a text split as a shell would split it."""
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError as error:
            raise ValueError(
                f"{quote(value)} cannot be split into words ({str(error).lower()}); write a list"
            ) from None
    if isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, (dict, list, tuple)) or item is None:
                raise ValueError(f"{quote(item)} is not a word; write a list of texts")
        return [_plain(item) for item in value]
    raise ValueError(f"{quote(value)} is neither a text nor a list of texts")


def _plain(item: Any) -> str:
    return ("true" if item else "false") if isinstance(item, bool) else str(item)


def environment(value: Mapping) -> list[str]:
    """NAME=value lines, sorted."""
    lines = []
    for key in value:
        text = str(key)
        if not text or "=" in text or "\0" in text or text != text.strip():
            raise ValueError(f"{quote(text)} is not a variable's name; leave out = and spaces")
        item = value[key]
        if isinstance(item, (dict, list, tuple)):
            raise ValueError(f"{text} is not a text; write one line of text, in quotes")
        lines.append(f"{text}={'' if item is None else _plain(item)}")
    return sorted(lines)


def environment_back(lines: Iterable[str] | None) -> dict[str, str]:
    """The dictionary of NAME=value lines."""
    return dict(line.split("=", 1) if "=" in line else (line, "") for line in lines or ())


def texts(value: Mapping) -> dict[str, str]:
    """A dictionary whose values are all text."""
    for key, item in value.items():
        if isinstance(item, (dict, list, tuple)):
            raise ValueError(f"{key} is not a text; write one line of text, in quotes")
    return {str(key): "" if item is None else _plain(item) for key, item in value.items()}


def subnet(value: str) -> str:
    """A network in CIDR notation."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        hint = "the host bits must be zero" if "host bits" in str(error) else "write 10.5.0.0/24"
        raise ValueError(f"{quote(value)} is not a subnet; {hint}") from None


def reference(value: str) -> str:
    """An image reference in its shortest canonical spelling: docker.io/library/nginx:latest is nginx:latest."""
    text = value.strip()
    if IMAGE_ID.fullmatch(text):
        return text if text.startswith("sha256:") else "sha256:" + text
    if not REFERENCE.fullmatch(text):
        raise ValueError(f"{quote(value)} is not an image reference; write name:tag, in lower case, such as nginx:1.27")
    for prefix in ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/", "library/"):
        if text.startswith(prefix):
            text = text[len(prefix) :]
            break
    last = text.rsplit("/", 1)[-1]
    return text if ":" in last or "@" in text else text + ":latest"


def signal(value: str) -> str:
    """A signal as SIGTERM, TERM or a number, by its name where it has one."""
    text = value.strip().upper()
    if text.isdigit() and 1 <= int(text) <= 64:
        return "SIG" + NUMBERED[int(text) - 1] if int(text) <= len(NUMBERED) else str(int(text))
    bare = text[3:] if text.startswith("SIG") else text
    bare = SECOND_NAMES.get(bare, bare)
    if bare not in SIGNALS:
        raise ValueError(f"{quote(value)} is not a signal; write SIGTERM, SIGQUIT or a number from 1 to 64")
    return "SIG" + bare


def capabilities(value: list[str]) -> list[str]:
    """Capability names without CAP_, in upper case."""
    found = []
    for item in value:
        bare = item.strip().upper()
        bare = bare[4:] if bare.startswith("CAP_") else bare
        if bare not in CAPABILITIES:
            raise ValueError(
                f"{quote(item)} is not a capability; write NET_ADMIN, SYS_PTRACE or ALL (see capabilities(7))"
            )
        found.append(bare)
    return sorted(set(found))


def capabilities_back(value: Iterable[str] | None) -> tuple[str, ...]:
    """What the engine shows, in our spelling (newer engines add CAP_)."""
    return tuple(sorted(item.upper()[4:] if item.upper().startswith("CAP_") else item.upper() for item in value or ()))


def ulimits(value: list[str]) -> list[dict]:
    """name:soft[:hard] lines, or name=soft[:hard] as the docker CLI has it."""
    found = []
    for item in value:
        match = re.fullmatch(r"([a-z]+)[:=](-?\d+)(?::(-?\d+))?", str(item).strip())
        if not match or match[1] not in ULIMITS:
            raise ValueError(
                f"{quote(item)} is not a limit; write nofile:1024 or nofile:1024:2048 (names: {', '.join(sorted(ULIMITS))})"
            )
        soft, hard = int(match[2]), int(match[3] or match[2])
        if hard != -1 and (soft > hard or soft == -1):
            raise ValueError(f"{quote(item)}: the soft limit is above the hard limit; write the smaller number first")
        found.append({"Name": match[1], "Soft": soft, "Hard": hard})
    return sorted(found, key=lambda item: item["Name"])


def ulimits_back(value: Iterable[Mapping] | None) -> tuple[str, ...]:
    """name:soft:hard lines."""
    return tuple(sorted(f"{item['Name']}:{item['Soft']}:{item['Hard']}" for item in value or ()))


def hostname(value: str) -> str:
    """A host's name, which the kernel holds to 64 bytes and DNS to labels of 63."""
    if not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", value) or len(value) > 63:
        raise ValueError(f"{quote(value)} is not a host name; use letters, digits, - and ., at most 63")
    return value


def domain(value: str) -> str:
    """A domain's name."""
    if value != "." and (not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*\.?", value) or len(value) > 253):
        raise ValueError(f"{quote(value)} is not a domain; write example.org")
    return value


def user(value: str) -> str:
    """A user, or user:group, by name or number."""
    if not re.fullmatch(r"[^\s:]+(?::[^\s:]+)?", value):
        raise ValueError(f"{quote(value)} is not a user; write a name or number, or user:group")
    return value


def absolute(value: str) -> str:
    """A path in the container, as short as the engine writes it."""
    if not value.startswith("/") or "\0" in value:
        raise ValueError(f"{quote(value)} is not an absolute path; begin it with /")
    return "/" + posixpath.normpath(value).lstrip("/")


def namespace(*words_allowed: str, shared: bool = True) -> Callable[[str], str]:
    """An encoder of a namespace's mode: one of some words, nothing for the engine's default or, where it can be shared, container:NAME."""
    choices = [*words_allowed, *(["container:NAME"] if shared else [])]

    def encode(value: str) -> str:
        word, colon, other = value.partition(":")
        if value not in ("", *words_allowed) and not (
            shared and colon and word == "container" and NAME.fullmatch(other)
        ):
            raise ValueError(f"{quote(value)} is not a mode; write {' or '.join(choices)}")
        return value

    return encode


def each(encode: Callable[[str], Any]) -> Callable[[list], list]:
    """An encoder of a list from that of one item."""
    return lambda items: [encode(item) for item in items]


def group(value: str) -> str:
    """A group by name or number."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?", value):
        raise ValueError(f"{quote(value)} is not a group; write a name or number")
    return value


def security(value: str) -> str:
    """A security option, name=value or name:value."""
    word, *said = re.split("[=:]", value, maxsplit=1)
    alone = word == "no-new-privileges" and said in ([], ["true"], ["false"])
    if not alone and not (
        word in ("seccomp", "apparmor", "label", "systempaths", "writable-cgroups") and said and said[0]
    ):
        raise ValueError(
            f"{quote(value)} is not a security option; write no-new-privileges, seccomp=FILE, apparmor=PROFILE or label=VALUE"
        )
    return value


# Those that a namespace has of its own: https://github.com/opencontainers/runc/blob/v1.1.12/libcontainer/configs/validate/validator.go
IPC_SYSCTLS = re.compile(r"kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+")


def sysctls(value: Mapping) -> dict[str, str]:
    """Kernel parameters by their dotted names."""
    for key in value:
        text = str(key)
        if not re.fullmatch(r"[a-z0-9_-]+(?:[./][A-Za-z0-9_*-]+)+", text):
            raise ValueError(f"{quote(text)} is not a kernel parameter; write net.ipv4.ip_forward")
        if not text.startswith("net.") and not IPC_SYSCTLS.fullmatch(text) and text != "kernel.domainname":
            raise ValueError(f"{quote(text)} belongs to the whole machine, not to a container; set it on the host")
    return texts(value)


def volumes_from(value: str) -> str:
    """A container whose volumes are mounted too."""
    source, _colon, mode = value.partition(":")
    if not NAME.fullmatch(source) or mode not in ("", "ro", "rw"):
        raise ValueError(f"{quote(value)} is not a container's name; write NAME or NAME:ro")
    return value


def plugin(value: str) -> str:
    """The name of a driver, a runtime or a plugin."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_./:@-]*", value):
        raise ValueError(f"{quote(value)} is not a driver's name")
    return value


# -- ports -----------------------------------------------------------------------------------------------------


def exposed(value: list[str]) -> dict[str, dict]:
    """{"80/tcp": {}} from 80, 80/udp and ranges."""
    found: dict[str, dict] = {}
    for item in value:
        text, protocol = ports.split(str(item).strip(), item)
        for port in ports.numbers(text, item):
            found[f"{port}/{protocol}"] = {}
    return found


def published_back(bindings: Mapping | None) -> list[tuple[str, str, str]]:
    """The same triples from HostConfig.PortBindings."""
    found = set()
    for port, hosts in (bindings or {}).items():
        for host in hosts or ():
            ip, number = host.get("HostIp") or "", host.get("HostPort") or ""
            found.add((port, ip, "" if number == "0" else number))
    return sorted(found, key=ports.order)


# -- volumes ---------------------------------------------------------------------------------------------------

BIND_MODES = frozenset(
    [
        "ro",
        "rw",
        "z",
        "Z",
        "consistent",
        "cached",
        "delegated",
        "nocopy",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
    ]
)


def bind(text: str) -> tuple[str, str, str]:
    """(source, target, modes) of one volumes entry; the source is empty for an anonymous volume."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise ValueError(
            f"{quote(text)} is not a volume; write name:/path, /host/path:/path or /path, and :ro after it"
        )
    if len(parts) == 1:
        source, target, modes = "", parts[0], ""
    elif len(parts) == 2 and not parts[1].startswith("/") and parts[0].startswith("/"):
        source, target, modes = "", parts[0], parts[1]
    else:
        source, target, modes = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
    if not target.startswith("/"):
        raise ValueError(f"{quote(text)}: the path in the container, {quote(target)}, is not absolute; begin it with /")
    if source.startswith(("./", "../", "~")) or source in (".", ".."):
        raise ValueError(
            f"{quote(text)}: {quote(source)} is relative; write the whole path on the host, beginning with /"
        )
    if source and not source.startswith("/") and not NAME.fullmatch(source):
        raise ValueError(f"{quote(text)}: {quote(source)} is neither an absolute path nor a volume's name")
    if target.rstrip("/") == "":
        raise ValueError(f"{quote(text)} would cover the container's root; give the mount a path below /")
    if {"ro", "rw"} <= set(modes.split(",")):
        raise ValueError(f"{quote(text)} is ro and rw; keep one")
    unknown = set(modes.split(",")) - BIND_MODES if modes else set()
    if unknown:
        raise ValueError(f"{quote(text)}: {quote(sorted(unknown)[0])} is not a mode; write ro or rw")
    kept = sorted(mode for mode in modes.split(",") if mode and mode != "rw")
    return (source.rstrip("/") or source, target.rstrip("/") or "/", ",".join(kept))


def bind_text(item: tuple[str, str, str]) -> str:
    """A volumes entry from its parts."""
    return ":".join(part for part in item if part)
