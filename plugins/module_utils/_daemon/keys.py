# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of daemon.json: which engine knows them, of which type they are, what a reload does with them. Data.

Sources, read for 20.10, 26.1, 28 and 29: github.com/moby/moby, daemon/config/config.go and config_linux.go (types), cmd/dockerd/config.go
and config_unix.go (flags; a key that is no flag's name is unknown to the daemon), daemon/reload.go and reload_unix.go (what SIGHUP takes);
docs.docker.com/reference/cli/dockerd and the release notes of the engine (since when). 20.10.24 was asked for each doubtful key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from . import checks

ALWAYS, NEVER = (0, 0), (999, 0)
OLDEST = (20, 10)


class Unset:
    """There is no such value; unlike None, it cannot be in a document."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING = Unset()


@dataclass(frozen=True)
class Key:
    """A key of daemon.json.

    ``flag`` and ``short``: the daemon's flag for it. ``since``: the first version that knows it; ``until``: the first that does not any more.
    ``reload``: a running daemon takes another value at SIGHUP. ``reset``: a reload leaves what it had when the key is gone from the file,
    so this value is said in its place for the moment of the reload; NOTHING where the daemon falls back by itself. ``check`` raises
    ValueError with what is wrong and what to write. ``help``: what to do instead, for one that is gone.
    """

    name: str
    type: str
    flag: str = ""
    short: str = ""
    since: tuple[int, int] = ALWAYS
    until: tuple[int, int] = NEVER
    reload: bool = False
    reset: Any = NOTHING
    check: Callable[[Any], None] | None = None
    help: str = ""

    @property
    def option(self) -> str:
        """The long name of its flag."""
        return self.flag or self.name

    @property
    def bounded(self) -> bool:
        """Whether some engines that are in use do not know it."""
        return self.since > OLDEST or self.until < NEVER


TABLE = (
    # -- what a reload takes -----------------------------------------------------------------------------------------
    Key("allow-nondistributable-artifacts", "list", reload=True, reset=[], until=(28, 0)),
    Key("authorization-plugins", "list", "authorization-plugin", reload=True),
    Key("debug", "bool", short="D", reload=True, reset=False),
    Key("default-cgroupns-mode", "str", reload=True, check=checks.one_of("host", "private")),
    Key("default-ipc-mode", "str", reload=True, reset="private", check=checks.one_of("private", "shareable")),
    Key("default-runtime", "str", reload=True, reset="runc"),
    Key("default-shm-size", "str", reload=True, reset="64M", check=checks.size),
    Key("features", "flags", "feature", reload=True),
    Key("insecure-registries", "list", "insecure-registry", reload=True, reset=[], check=checks.registries),
    Key("labels", "list", "label", reload=True, reset=[], check=checks.labels),
    Key("live-restore", "bool", reload=True, reset=False),
    Key("max-concurrent-downloads", "int", reload=True, check=checks.at_least(0)),
    Key("max-concurrent-uploads", "int", reload=True, check=checks.at_least(0)),
    Key("max-download-attempts", "int", reload=True, check=checks.at_least(0)),
    Key("network-diagnostic-port", "int", reload=True, check=checks.between(0, 65535)),
    Key("registry-mirrors", "list", "registry-mirror", reload=True, reset=[], check=checks.mirrors),
    Key("runtimes", "map of dict", "add-runtime", reload=True, reset={}),
    Key("shutdown-timeout", "int", reload=True, reset=15),
    # -- what needs a restart ----------------------------------------------------------------------------------------
    Key("allow-direct-routing", "bool", since=(28, 2)),
    Key("api-cors-header", "str", until=(28, 0), help="put a reverse proxy before the API"),
    Key("bip", "str", check=checks.interface(4)),
    Key("bip6", "str", since=(28, 0), check=checks.interface(6)),
    Key("bridge", "str", short="b"),
    Key("bridge-accept-fwmark", "str", since=(29, 0)),
    Key("builder", "dict"),
    Key("cdi-spec-dirs", "list", "cdi-spec-dir", since=(25, 0)),
    Key("cgroup-parent", "str"),
    Key("cluster-advertise", "str", until=(23, 0), help="swarm mode has taken its place"),
    Key("cluster-store", "str", until=(23, 0), help="swarm mode has taken its place"),
    Key("cluster-store-opts", "map", "cluster-store-opt", until=(23, 0), help="swarm mode has taken its place"),
    Key("containerd", "str"),
    Key("containerd-namespace", "str"),
    Key("cpu-rt-period", "int"),
    Key("cpu-rt-runtime", "int"),
    Key("cri-containerd", "bool"),
    Key("data-root", "str", check=checks.absolute),
    Key("default-address-pools", "list of dict", "default-address-pool", check=checks.pools),
    Key("default-gateway", "str", check=checks.address),
    Key("default-gateway-v6", "str", check=checks.address),
    Key("default-network-opts", "map of map", "default-network-opt", since=(24, 0)),
    Key("default-ulimits", "map of dict", "default-ulimit", check=checks.ulimits),
    Key("dns", "list", check=checks.addresses),
    Key("dns-opts", "list", "dns-opt"),
    Key("dns-search", "list"),
    Key("exec-opts", "list", "exec-opt", check=checks.pairs),
    Key("exec-root", "str", check=checks.absolute),
    Key("experimental", "bool"),
    Key("firewall-backend", "str", since=(29, 0), check=checks.one_of("iptables", "nftables")),
    Key("fixed-cidr", "str", check=checks.network(4)),
    Key("fixed-cidr-v6", "str", check=checks.network(6)),
    Key("graph", "str", short="g", until=(23, 0), help="write data-root"),
    Key("group", "str", short="G"),
    Key("host-gateway-ip", "str", check=checks.address),
    Key("host-gateway-ips", "list", "host-gateway-ip", since=(28, 0), check=checks.addresses),
    Key("hosts", "list", "host", "H", check=checks.hosts),
    Key("icc", "bool"),
    Key("init", "bool"),
    Key("init-path", "str"),
    Key("ip", "str", check=checks.address),
    Key("ip-forward", "bool"),
    Key("ip-forward-no-drop", "bool", since=(28, 0)),
    Key("ip-masq", "bool"),
    Key("ip6tables", "bool"),
    Key("iptables", "bool"),
    Key("ipv6", "bool"),
    Key("log-driver", "str"),
    Key("log-format", "str", since=(25, 0), check=checks.one_of("text", "json")),
    Key(
        "log-level",
        "str",
        short="l",
        check=checks.one_of("panic", "fatal", "error", "warn", "info", "debug", "trace"),
    ),
    Key("log-opts", "map", "log-opt"),
    Key("metrics-addr", "str"),
    Key("mtu", "int", check=checks.at_least(0)),
    Key("network-control-plane-mtu", "int", check=checks.at_least(0)),
    Key("no-new-privileges", "bool"),
    Key("node-generic-resources", "list", "node-generic-resource"),
    Key("oom-score-adjust", "int", until=(25, 0), help="write OOMScoreAdjust in a drop-in of the unit"),
    Key("pidfile", "str", short="p", check=checks.absolute),
    Key("proxies", "map", since=(23, 0), check=checks.proxies),
    Key("raw-logs", "bool"),
    Key("rootless", "bool"),
    Key("seccomp-profile", "str"),
    Key("selinux-enabled", "bool"),
    Key("storage-driver", "str", short="s"),
    Key("storage-opts", "list", "storage-opt"),
    Key("swarm-default-advertise-addr", "str"),
    Key("tls", "bool"),
    Key("tlscacert", "str"),
    Key("tlscert", "str"),
    Key("tlskey", "str"),
    Key("tlsverify", "bool"),
    Key("userland-proxy", "bool"),
    Key("userland-proxy-path", "str", check=checks.absolute),
    Key("userns-remap", "str"),
)
KEYS = {key.name: key for key in TABLE}
# In the file they go below `proxies`, whose flags are these.
PROXIES = ("http-proxy", "https-proxy", "no-proxy")
# Words that are close to a key, but not close enough to be found by their letters -> where it goes.
ELSEWHERE = {
    "containerd-plugin-namespace": "is read from no file; give the daemon the flag --containerd-plugins-namespace",
    "containerd-plugins-namespace": "is read from no file; give the daemon the flag --containerd-plugins-namespace",
    "http-proxy": "goes below proxies; at the top the daemon takes no notice of it",
    "https-proxy": "goes below proxies; at the top the daemon takes no notice of it",
    "no-proxy": "goes below proxies; at the top the daemon takes no notice of it",
    "max-size": 'goes below log-opts; write log-opts: {max-size: "10m"}',
    "max-file": 'goes below log-opts; write log-opts: {max-file: "5"}',
    "buildkit": "goes below features; write features: {buildkit: true}",
    "containerd-snapshotter": "goes below features; write features: {containerd-snapshotter: true}",
}

# A reload takes another value of these, but has no way back to the default.
STICKY = ("default-cgroupns-mode",)
# The only feature that is looked at again and again; others count when the daemon starts.
LIVE_FEATURES = ("buildkit",)

# Another value of these hides the containers and images there are.
HIDING = ("data-root", "storage-driver", "userns-remap")
# A daemon that starts with another value of these may not find its way back to containers that live-restore has kept alive:
# docs.docker.com/engine/daemon/live-restore, "Live restore upon restart".
UNRESTORABLE = (
    *HIDING,
    "bip",
    "bip6",
    "bridge",
    "cgroup-parent",
    "containerd",
    "containerd-namespace",
    "default-gateway",
    "default-gateway-v6",
    "exec-opts",
    "exec-root",
    "fixed-cidr",
    "fixed-cidr-v6",
    "ipv6",
    "mtu",
    "storage-opts",
)

# The options of the two log drivers that write files: docs.docker.com/engine/logging/drivers/json-file and /local.
COMMON_LOG_OPTS = ("mode", "max-buffer-size", "max-size", "max-file", "compress")
CACHE_LOG_OPTS = ("cache-disabled", "cache-max-size", "cache-max-file", "cache-compress")
LOG_OPTS = {
    "local": COMMON_LOG_OPTS,
    "json-file": (*COMMON_LOG_OPTS, "labels", "labels-regex", "env", "env-regex", "tag"),
}
LOG_DRIVERS = (
    "awslogs",
    "etwlogs",
    "fluentd",
    "gcplogs",
    "gelf",
    "journald",
    "json-file",
    "local",
    "logentries",
    "none",
    "splunk",
    "syslog",
)


def version_of(text: str) -> tuple[int, int] | None:
    """(20, 10) of "20.10.24+dfsg1"; None of what is no version."""
    pieces = text.split(".")
    if len(pieces) < 2 or not pieces[0].isdigit() or not pieces[1].isdigit():
        return None
    return int(pieces[0]), int(pieces[1])
