# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What section 5 of the CIS Docker Benchmark 1.6.0 asks of a container: filled in, or demanded, or excepted with a reason. Pure.

Its items and how they are audited are those of the published checks, less what a declaration does not show (sshd, exec, images):
https://github.com/docker/docker-bench-security/blob/v1.6.0/tests/5_container_runtime.sh
"""

from __future__ import annotations

import ipaddress
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from .._converge import ports
from .._converge.desired import Mistakes, convert_options, join, quote
from .._converge.kind import Kind
from .._converge.option import Option
from . import fields, values

NONE, CIS = "none", "cis"
PROFILES = (NONE, CIS)
NO_NEW_PRIVILEGES = "no-new-privileges:true"
PIDS = 256
RETRIES = 5
LOOPBACK = "127.0.0.1"
UNPRIVILEGED = 1024  # the first port of a host that is no privileged one

# What an engine gives a container by itself: https://github.com/moby/moby/blob/v26.1.0/oci/caps/defaults.go
USUAL_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
SENSITIVE = ("/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr")  # and / itself
SOCKET = "docker.sock"
HOLDS_SOCKET = ("/run", "/var/run")

Spec = Mapping[str, Any]
Fault = tuple  # (the option, what is wrong with it, what to write instead)


# -- what an item looks at -------------------------------------------------------------------------------------


def _security(spec: Spec) -> Iterator[tuple[str, str, str]]:
    """(text, name, value) of each security option."""
    for text in spec.get("security_opts") or ():
        name, *value = text.replace("=", ":", 1).split(":", 1)
        yield text, name, value[0] if value else "true"


def _host_paths(spec: Spec) -> Iterator[tuple[str, str, bool, str]]:
    """(option, path of the host, whether it can be written, propagation) of each bind mount."""
    for text in spec.get("volumes") or ():
        source, _target, modes = values.bind(text)
        if source.startswith("/"):
            said = modes.split(",")
            propagation = next((mode for mode in said if mode.endswith(("shared", "slave", "private"))), "")
            yield "volumes", _shortest(source), "ro" not in said, propagation
    for mount in spec.get("mounts") or ():
        source = mount.get("source") or ""
        if mount.get("type") == "bind" and source.startswith("/"):
            yield "mounts", _shortest(source), not mount.get("read_only"), mount.get("propagation") or ""


def _shortest(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")


# -- what is wrong with a container, item by item --------------------------------------------------------------


def _kept_capabilities(spec: Spec) -> Iterator[Fault]:
    if "ALL" not in values.capabilities(spec.get("cap_drop") or []):
        said = f"{quote(spec['cap_drop'])} leaves it others" if spec.get("cap_drop") else "drops nothing"
        yield "cap_drop", said, "drop ALL, and add what it needs with capabilities"


def _added_capabilities(spec: Spec) -> Iterator[Fault]:
    beyond = sorted(set(values.capabilities(spec.get("capabilities") or [])) - USUAL_CAPABILITIES)
    if beyond:
        yield "capabilities", f"{', '.join(beyond)} is more than an engine gives by itself", "take it out"


def _privileged(spec: Spec) -> Iterator[Fault]:
    if spec.get("privileged"):
        yield "privileged", "true gives it every right on the host", "take it out"


def _host_directories(spec: Spec) -> Iterator[Fault]:
    for option, path, writable, _propagation in _host_paths(spec):
        if path == "/" or path in SENSITIVE:
            yield (
                option,
                f"{quote(path)} is a directory that the host itself lives by",
                "mount only what it needs of it",
            )
        elif writable and path.startswith(tuple(f"{directory}/" for directory in SENSITIVE)):
            yield option, f"{quote(path)} is the host's own, and can be written", "mount it read-only"


def _privileged_ports(spec: Spec) -> Iterator[Fault]:
    for binding in ports.published(spec.get("published_ports") or []):
        first = binding[2].partition("-")[0]
        if first and int(first) < UNPRIVILEGED:
            yield (
                "published_ports",
                f"{quote(ports.shown(binding))} takes a privileged port of the host",
                f"publish it from {UNPRIVILEGED} up",
            )


def _all_addresses(spec: Spec) -> Iterator[Fault]:
    for binding in ports.published(spec.get("published_ports") or []):
        if not binding[1] or ipaddress.ip_address(binding[1]).is_unspecified:
            yield (
                "published_ports",
                f"{quote(ports.shown(binding))} can be reached on every address of the host",
                "write the one address that it is for",
            )


def _memory(spec: Spec) -> Iterator[Fault]:
    if not values.memory(spec.get("memory") or 0):
        yield "memory", _missing(spec, "memory", "is no limit"), "write the most it may use, such as 256m"


def _cpus(spec: Spec) -> Iterator[Fault]:
    if not spec.get("cpus") and not spec.get("cpu_shares"):
        yield "cpus", "is missing, and so is cpu_shares", "write one of them, such as cpus: 0.5"


def _writable_root(spec: Spec) -> Iterator[Fault]:
    if not spec.get("read_only"):
        yield (
            "read_only",
            _missing(spec, "read_only", "lets it write its own root"),
            "write what must be to a tmpfs or a volume",
        )


def _restarts(spec: Spec) -> Iterator[Fault]:
    policy, retries = spec.get("restart_policy"), spec.get("restart_retries") or 0
    if policy in ("always", "unless-stopped"):
        yield (
            "restart_policy",
            f"{quote(policy)} starts it again without end",
            f"write on-failure, which gives up after {RETRIES}",
        )
    elif policy == "on-failure" and not 1 <= retries <= RETRIES:
        said = f"{retries} is more than {RETRIES}" if retries else "0 is without end"
        yield "restart_retries", said, f"write {RETRIES} or less"


def _host_namespace(option: str) -> Callable[[Spec], Iterator[Fault]]:
    def look(spec: Spec) -> Iterator[Fault]:
        if spec.get(option) == "host":
            yield option, '"host" is no namespace of its own', "take it out"

    return look


def _devices(spec: Spec) -> Iterator[Fault]:
    for text in spec.get("devices") or ():
        yield "devices", f"{quote(text)} is a device of the host", "take it out"


def _shared_propagation(spec: Spec) -> Iterator[Fault]:
    for option, path, _writable, propagation in _host_paths(spec):
        if propagation in ("shared", "rshared"):
            yield option, f"what is mounted below {quote(path)} in it is mounted on the host too", "take shared out"


def _security_option(name: str, off: str) -> Callable[[Spec], Iterator[Fault]]:
    def look(spec: Spec) -> Iterator[Fault]:
        for text, word, value in _security(spec):
            if (word, value) == (name, off):
                yield "security_opts", f"{quote(text)} takes a protection away", "take it out"

    return look


def _cgroup_parent(spec: Spec) -> Iterator[Fault]:
    if spec.get("cgroup_parent"):
        yield "cgroup_parent", f"{quote(spec['cgroup_parent'])} is not where the engine keeps containers", "take it out"


def _new_privileges(spec: Spec) -> Iterator[Fault]:
    said = [(text, value) for text, word, value in _security(spec) if word == "no-new-privileges"]
    off = [text for text, value in said if value != "true"]
    if off or not said:
        what = f"{quote(off[0])} lets it gain rights" if off else "does not keep it from gaining rights"
        yield "security_opts", what, f"write {NO_NEW_PRIVILEGES}"


def _healthcheck(spec: Spec) -> Iterator[Fault]:
    check = spec.get("healthcheck")
    test = fields.encode_health(check).get("Test") if check else None
    if not test or test == ["NONE"]:
        what = "is missing" if check is None else "NONE is no check" if test else "has no test"
        yield "healthcheck", what, "write a test that tells whether it is well"


def _endless_processes(spec: Spec) -> Iterator[Fault]:
    if (spec.get("pids_limit") or 0) <= 0:
        yield "pids_limit", _missing(spec, "pids_limit", "is no limit"), f"write the most it may have, such as {PIDS}"


def _docker_socket(spec: Spec) -> Iterator[Fault]:
    for option, path, _writable, _propagation in _host_paths(spec):
        if posixpath.basename(path) == SOCKET or path in HOLDS_SOCKET:
            yield option, f"{quote(path)} hands it the engine, and with that the host", "take it out"


def _root(spec: Spec) -> Iterator[Fault]:
    user = (spec.get("user") or "").partition(":")[0]
    if user in ("", "root") or (user.isdigit() and not int(user)):
        yield "user", _missing(spec, "user", "is root"), "write whom it runs as, such as 1000:1000"


def _missing(spec: Spec, option: str, wrong: str) -> str:
    value = spec.get(option)
    return "is missing" if value is None else f"{quote(value)} {wrong}"


@dataclass(frozen=True)
class Item:
    """An item of the benchmark.

    ``name``: by which it is excepted. ``number``: its number there. ``looks_at``: the options that ``faults`` looks at.
    """

    name: str
    number: str
    looks_at: tuple[str, ...]
    faults: Callable[[Spec], Iterator[Fault]]


_HOST_PATHS = ("volumes", "mounts")
ITEMS = (
    Item("user", "4.1", ("user",), _root),
    Item("apparmor", "5.2", ("security_opts",), _security_option("apparmor", "unconfined")),
    Item("selinux", "5.3", ("security_opts",), _security_option("label", "disable")),
    Item("cap_drop", "5.4", ("cap_drop",), _kept_capabilities),
    Item("capabilities", "5.4", ("capabilities",), _added_capabilities),
    Item("privileged", "5.5", ("privileged",), _privileged),
    Item("host_directories", "5.6", _HOST_PATHS, _host_directories),
    Item("privileged_ports", "5.8", ("published_ports",), _privileged_ports),
    Item("network_mode", "5.10", ("network_mode",), _host_namespace("network_mode")),
    Item("memory", "5.11", ("memory",), _memory),
    Item("cpus", "5.12", ("cpus", "cpu_shares"), _cpus),
    Item("read_only", "5.13", ("read_only",), _writable_root),
    Item("all_addresses", "5.14", ("published_ports",), _all_addresses),
    Item("restart_policy", "5.15", ("restart_policy", "restart_retries"), _restarts),
    Item("pid_mode", "5.16", ("pid_mode",), _host_namespace("pid_mode")),
    Item("ipc_mode", "5.17", ("ipc_mode",), _host_namespace("ipc_mode")),
    Item("devices", "5.18", ("devices",), _devices),
    Item("shared_propagation", "5.20", _HOST_PATHS, _shared_propagation),
    Item("uts", "5.21", ("uts",), _host_namespace("uts")),
    Item("seccomp", "5.22", ("security_opts",), _security_option("seccomp", "unconfined")),
    Item("cgroup_parent", "5.25", ("cgroup_parent",), _cgroup_parent),
    Item("no_new_privileges", "5.26", ("security_opts",), _new_privileges),
    Item("healthcheck", "5.27", ("healthcheck",), _healthcheck),
    Item("pids_limit", "5.29", ("pids_limit",), _endless_processes),
    Item("userns_mode", "5.31", ("userns_mode",), _host_namespace("userns_mode")),
    Item("docker_socket", "5.32", _HOST_PATHS, _docker_socket),
)

# Exceptions have the other names of the options that they are named for, too.
ALIASES = {
    "capabilities": ("cap_add",),
    "memory": ("mem_limit",),
    "restart_policy": ("restart",),
    "pid_mode": ("pid",),
    "ipc_mode": ("ipc",),
}
OPTIONS = (
    Option("hardening", choices=PROFILES),
    Option(
        "hardening_allow",
        "dict",
        suboptions=tuple(Option(item.name, "str", aliases=ALIASES.get(item.name, ())) for item in ITEMS),
    ),
)
DEFAULT = OPTIONS[0]  # of a whole task: the profile of containers that name none


# -- one container after the other -----------------------------------------------------------------------------


def filled(spec: Spec, allowed: Mapping[str, str]) -> dict[str, Any]:
    """What a container's options become where they leave something to the engine that the benchmark asks for.

    An exception leaves it to the engine, but for what has a way to be said: `0.0.0.0` and a restart policy.
    """
    found: dict[str, Any] = {}
    security = spec.get("security_opts") or []
    if "no_new_privileges" not in allowed and all(
        word != "no-new-privileges" for _text, word, _value in _security(spec)
    ):
        found["security_opts"] = [*security, NO_NEW_PRIVILEGES]
    for option, value in (("cap_drop", ["ALL"]), ("read_only", True), ("pids_limit", PIDS)):
        if spec.get(option) is None and option not in allowed:
            found[option] = value
    policy = spec.get("restart_policy")
    if policy is None and not spec.get("auto_remove"):  # one that goes when it ends is not started again
        policy = found["restart_policy"] = "on-failure"
    if policy == "on-failure" and spec.get("restart_retries") is None:
        found["restart_retries"] = RETRIES
    if spec.get("published_ports"):
        found["published_ports"] = [ports.with_host(text, LOOPBACK) for text in spec["published_ports"]]
    return found


def _readable(option: Option, value: Any) -> bool:
    """Whether a value of the option's type, or None where it is of none, is one that the option can have."""
    try:
        return value is not None and option.encode(value) is not None
    except ValueError:
        return False


class Hardening:
    """Hardens the containers of a task, one after the other, and keeps what is to be said of it.

    ``default``: the profile of those that name none. ``absent``: all of them are to go, so nothing is asked of them.
    ``exceptions`` and ``warnings`` are lines for the user.
    """

    def __init__(self, kind: Kind, default: str | None, mistakes: Mistakes, absent: bool = False) -> None:
        self.kind, self.default, self.mistakes, self.absent = kind, default, mistakes, absent
        self.on = False
        self.exceptions: list[str] = []
        self.warnings: list[str] = []

    def __call__(self, params: Mapping[str, Any], place: str) -> Mapping[str, Any]:
        """The options of a container with what its profile fills in; what it demands and is not there becomes a mistake."""
        said = {self.kind.by_name[name].name: name for name in params if name in self.kind.by_name}
        said = {option: name for option, name in said.items() if params[name] is not None}
        if not said.keys() & {"hardening", "hardening_allow"} and self.default in (None, NONE):
            return params
        spec = convert_options(self.kind.options, params, "", Mistakes())  # reading it tells what is wrong with a value
        unread = {option for option in said if not _readable(self.kind.option(option), spec.get(option))}
        allowed = self._allowed(params.get("hardening_allow"), spec.get("hardening_allow"), place)
        profile = spec.get("hardening") or self.default
        if profile is None and "hardening_allow" in said and "hardening" not in said:
            self.mistakes.add(
                join(place, "hardening_allow"), "excepts from what is not asked; write hardening: cis beside it"
            )
        if profile != CIS or self.absent or spec.get("state") == "absent":
            return params
        self.on = True
        more = {option: value for option, value in filled(spec, allowed).items() if option not in unread}
        self._judge({**spec, **more}, unread, allowed, place)
        return {**params, **{said.get(option, option): value for option, value in more.items()}}

    def _allowed(self, given: Any, read: Any, place: str) -> dict[str, str]:
        """{item: reason} of the exceptions, as they were given or, where that is JSON, read; one without a reason is a mistake."""
        rows = OPTIONS[1].suboptions
        known = {name: row.name for row in rows for name in (row.name, *row.aliases)}
        allowed = {}
        for name, reason in (given if isinstance(given, Mapping) else read or {}).items():
            if name in known and not str("" if reason is None else reason).strip():
                self.mistakes.add(
                    join(place, f"hardening_allow.{name}"), "has no reason; write why this container needs it"
                )
            if name in known:
                allowed[known[name]] = str(reason)
        return allowed

    def _judge(self, spec: Spec, unread: set[str], allowed: Mapping[str, str], place: str) -> None:
        for item in (item for item in ITEMS if not unread & set(item.looks_at)):
            faults = list(item.faults(spec))
            if item.name in allowed and not faults:
                self.warnings.append(
                    f"{join(place, f'hardening_allow.{item.name}')}: nothing needs this exception; take it out"
                )
            for option, wrong, way in faults:
                where, what = join(place, option), f"{wrong} (hardening: cis, {item.number})"
                if item.name in allowed:
                    self.exceptions.append(f"{where}: {what}, allowed: {allowed[item.name].strip()}")
                else:
                    self.mistakes.add(where, f"{what}; {way}, or give the reason in hardening_allow.{item.name}")
