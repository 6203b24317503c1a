# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must not be, though each key by itself is right: what hides data, opens the engine to everyone, or keeps it from starting. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._converge.desired import Mistakes, quote
from . import flags as flag
from .flags import Flag
from .keys import HIDING, LOG_DRIVERS
from .values import PLACE

CERTIFICATES = ("tlscacert", "tlscert", "tlskey")
SWARM_IDLE = ("", "inactive")
REMAPPED = re.compile(r"/\d+\.\d+$")  # a data root below which a user namespace has its own
# Runtimes that every engine brings.
RUNTIMES = ("runc", "io.containerd.runc.v2")


@dataclass(frozen=True)
class Facts:
    """What is known of this host: ``flags`` of the daemon that runs, ``unit`` flags of its unit, ``info`` of the engine (empty when none
    answers), ``missing`` paths of the configuration that are not there, ``plugins`` that can authorize, None where nobody could be asked."""

    flags: Sequence[Flag] = ()
    unit: Sequence[Flag] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    missing: Collection[str] = ()
    plugins: Collection[str] | None = None

    @property
    def swarm(self) -> str:
        """The node's state in a swarm, empty when it is in none."""
        state = (self.info.get("Swarm") or {}).get("LocalNodeState") or ""
        return "" if state in SWARM_IDLE else state

    @property
    def held(self) -> str:
        """What the engine holds, in words; empty when it holds nothing."""
        counts = [(self.info.get("Containers") or 0, "container"), (self.info.get("Images") or 0, "image")]
        return " and ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count)


def judge(
    before: Mapping[str, Any], after: Mapping[str, Any], changed: Collection[str], facts: Facts, mistakes: Mistakes
) -> None:
    """Note what must not be; ``changed``: the keys that differ from what the daemon runs with."""
    for rule in (_twice, _tcp, _deaf, _swarm, _hiding, _names, _files):
        for name, sentence in rule(before, after, changed, facts):
            mistakes.add(f"{PLACE}.{name}", sentence)


Found = Iterator[tuple[str, str]]


def _twice(_before: Mapping, after: Mapping, _changed: Collection[str], facts: Facts) -> Found:
    for name in sorted(after):
        for said, by in ((facts.flags, "the daemon was started with"), (facts.unit, "its unit starts the daemon with")):
            found = flag.of_key(said, name)
            if found:
                yield (
                    name,
                    f"{by} the flag {found}, and it does not start when a setting is said twice; leave it out here, or take the flag out"
                    f"{' with a drop-in of the unit (systemctl edit docker.service)' if facts.unit else ''}",
                )
                break
    if "host-gateway-ip" in after and "host-gateway-ips" in after:
        yield "host-gateway-ip", "is there beside host-gateway-ips, which has taken its place; keep host-gateway-ips"


def _tcp(before: Mapping, after: Mapping, _changed: Collection[str], facts: Facts) -> Found:
    opened = open_by_flag(after, facts)
    # One that was open before is not for an unrelated change to mend.
    if opened and not open_by_flag(before, facts):
        yield (
            "tlsverify",
            f"is all that keeps {quote(', '.join(opened))}, which the daemon has by a flag, from letting anybody who reaches it become root "
            f"on this host; leave it as it is, or take the flag out first",
        )
    hosts = after.get("hosts")
    open_to_all = [host for host in hosts if str(host).startswith("tcp://")] if isinstance(hosts, list) else []
    if not open_to_all:
        return
    missing = [name for name in CERTIFICATES if not (after.get(name) or flag.value_of(facts.flags, name))]
    if not (after.get("tlsverify") or flag.is_set(facts.flags, "tlsverify")):
        missing.insert(0, "tlsverify: true")
    if missing:
        yield (
            "hosts",
            f"{quote(', '.join(open_to_all))} lets anybody who reaches it become root on this host; add {', '.join(missing)}, "
            f"or take it out and use ssh://HOST from the client",
        )


def open_by_flag(document: Mapping, facts: Facts) -> list[str]:
    """Where a daemon with this document, and with the flags that it or its unit has, listens on TCP to anybody."""
    if document.get("tlsverify"):
        return []
    unproven = [flags for flags in (facts.flags, facts.unit) if not flag.is_set(flags, "tlsverify")]
    hosts = [host for flags in unproven for host in flag.values_of(flags, "host") if flag.is_tcp(host)]
    return list(dict.fromkeys(hosts))


def _deaf(_before: Mapping, after: Mapping, _changed: Collection[str], _facts: Facts) -> Found:
    hosts = after.get("hosts")
    if isinstance(hosts, list) and hosts and not flag.local_address(hosts):
        yield (
            "hosts",
            'has no socket on the host itself, so nothing here would reach the engine; add "unix:///var/run/docker.sock"',
        )


def _swarm(_before: Mapping, after: Mapping, changed: Collection[str], facts: Facts) -> Found:
    if not facts.swarm:
        return
    if after.get("live-restore") and "live-restore" in changed:
        yield (
            "live-restore",
            f"this engine is part of a swarm ({facts.swarm}), and the daemon does not start with both; write false, or `docker swarm leave`",
        )
    if after.get("firewall-backend") == "nftables" and after.get("iptables", True):
        yield (
            "firewall-backend",
            f"this engine is part of a swarm ({facts.swarm}), which knows no nftables; write iptables, or `docker swarm leave`",
        )


def _hiding(before: Mapping, after: Mapping, changed: Collection[str], facts: Facts) -> Found:
    """Another value of these is harmless where the engine holds nothing, or is there already by itself."""
    if not facts.held:
        return
    out_of_sight = f"the {facts.held} of the engine would be out of its sight; remove them first, or stop the engine, move what it stores, and run again"
    for name in HIDING:
        if name in changed and not _as_it_is(name, after.get(name), facts.info):
            unsaid = "none" if name == "userns-remap" else "the default"
            yield (
                name,
                f"would change from {quote(before.get(name) or unsaid)} to {quote(after.get(name) or unsaid)}, and {out_of_sight}",
            )
    snapshots = [_snapshotter(document) for document in (before, after)]
    if "features" in changed and snapshots[0] != snapshots[1]:
        yield "features.containerd-snapshotter", f"would change how images are stored, and {out_of_sight}"


def _snapshotter(document: Mapping) -> Any:
    features = document.get("features")
    return features.get("containerd-snapshotter") if isinstance(features, Mapping) else None


def _as_it_is(name: str, value: Any, info: Mapping[str, Any]) -> bool:
    """Whether a value says what the engine does already."""
    if name == "userns-remap":
        remapped = any("name=userns" in str(option) for option in info.get("SecurityOptions") or ())
        return not value and not remapped
    if name == "storage-driver":
        return value == info.get("Driver") if value else False
    root = REMAPPED.sub("", str(info.get("DockerRootDir") or ""))
    return (str(value).rstrip("/") if value else flag.DATA_ROOT) == root


def _names(_before: Mapping, after: Mapping, changed: Collection[str], facts: Facts) -> Found:
    """Names of things that have to be there."""
    runtime = after.get("default-runtime")
    known = {*RUNTIMES, *(after.get("runtimes") or ())}
    known |= {value.partition("=")[0] for value in flag.values_of(facts.flags, "add-runtime")}
    if "default-runtime" in changed and runtime and runtime not in known and "." not in runtime and "/" not in runtime:
        yield (
            "default-runtime",
            f"{quote(runtime)} is none of the runtimes {', '.join(sorted(known))}; name one of them, or add it to runtimes",
        )
    driver = after.get("log-driver")
    drivers = {"none", *((facts.info.get("Plugins") or {}).get("Log") or LOG_DRIVERS)}
    if "log-driver" in changed and driver and driver not in drivers and f"{driver}:latest" not in drivers:
        yield (
            "log-driver",
            f"{quote(driver)} is none of the log drivers {', '.join(sorted(drivers))}; name one of them, or install its plugin first",
        )
    if facts.plugins is not None and "authorization-plugins" in changed:
        for name in after.get("authorization-plugins") or ():
            if name not in facts.plugins and name.partition(":")[0] not in facts.plugins:
                yield (
                    "authorization-plugins",
                    f"{quote(name)} is no plugin that is here and enabled, and a daemon ends without it; install it first",
                )


def _files(_before: Mapping, after: Mapping, _changed: Collection[str], facts: Facts) -> Found:
    for name in (*CERTIFICATES, "seccomp-profile", "userland-proxy-path"):
        if after.get(name) in facts.missing:
            yield name, f"the file {quote(after[name])} is not there; bring it first"


def paths(document: Mapping[str, Any]) -> list[str]:
    """The files that a document wants to be there."""
    wanted = [document.get(name) for name in (*CERTIFICATES, "seccomp-profile", "userland-proxy-path")]
    return [path for path in wanted if isinstance(path, str) and path.startswith("/")]
