# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The daemon's command line: which flags it has, and which keys of the file they are. Pure.

The daemon does not start when a setting is said as a flag and in the file, with one exception (runtimes): moby, findConfigurationConflicts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .keys import KEYS, PROXIES, TABLE

CONFIG_FILE = "/etc/docker/daemon.json"
PID_FILE = "/var/run/docker.pid"
DATA_ROOT = "/var/lib/docker"
SOCKET = "/var/run/docker.sock"
# The flags that stand alone; every other one takes a value.
BARE = {
    *(key.option for key in TABLE if key.type == "bool"),
    "help",
    "validate",
    "version",
    "restart",
}
SHORT = {**{key.short: key.option for key in TABLE if key.short}, "v": "version", "r": "restart"}
NAMED_TWICE = ("runtimes",)


@dataclass(frozen=True)
class Flag:
    """A flag as it was said: its long name, its value, and the words it was said with."""

    name: str
    value: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.words)


def parse(arguments: Sequence[str]) -> list[Flag]:
    """The flags in the arguments of a daemon, less its name."""
    found: list[Flag] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            name, joined, value = word[2:].partition("=")
        elif word.startswith("-") and len(word) > 1 and word[1] in SHORT:
            name, joined, value = SHORT[word[1]], word[2:], word[2:].lstrip("=")
        else:
            continue
        if joined:
            found.append(Flag(name, value, (word,)))
        elif name in BARE:
            found.append(Flag(name, "true", (word,)))
        else:
            value = rest.pop(0) if rest else ""
            found.append(Flag(name, value, (word, value)))
    return found


def value_of(flags: Sequence[Flag], name: str, default: str = "") -> str:
    """The last value of a flag, which is the one that counts."""
    return next((flag.value for flag in reversed(flags) if flag.name == name), default)


def values_of(flags: Sequence[Flag], name: str) -> list[str]:
    """All values of a flag that may be repeated."""
    return [flag.value for flag in flags if flag.name == name]


def is_set(flags: Sequence[Flag], name: str) -> bool:
    """Whether a flag of the kind that stands alone is said, and not as false."""
    return value_of(flags, name, "false").lower() in ("true", "1", "t")


def of_key(flags: Sequence[Flag], name: str) -> Flag | None:
    """The flag that says what a key of the file says; None when there is none, or when both may say it."""
    if name in NAMED_TWICE:
        return None
    key = KEYS.get(name)
    names = PROXIES if name == "proxies" else (key.option, name) if key else (name, name.rstrip("s"))
    return next((flag for flag in flags if flag.name in names), None)


def known_from_help(text: str) -> set[str]:
    """The long names of the flags that `dockerd --help` shows."""
    return set(re.findall(r"^\s+(?:-\w, )?--([a-z0-9-]+)", text, re.MULTILINE))


def from_unit(text: str) -> list[str]:
    """The arguments in what `systemctl show --property ExecStart` says, less the program; variables stay as they are written."""
    found = re.search(r"argv\[\]=(.*?) ; ", text)
    return found[1].split()[1:] if found else []


def is_tcp(host: str) -> bool:
    """Whether a value of -H is an address, which may be said without its scheme; what a variable holds is not known."""
    return host.startswith("tcp://") or (host[:1] not in ("", "$") and "://" not in host)


def local_address(hosts: Sequence[str]) -> str:
    """Where a daemon that listens at these hosts answers on its own host, as a path; empty when it does not."""
    for host in hosts or ["unix://"]:
        scheme, _separator, rest = host.partition("://")
        if scheme == "unix":
            return rest or SOCKET
        if scheme == "fd":
            return SOCKET
    return ""
