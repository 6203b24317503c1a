# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private, real libvirtd with real QEMU guests that leaves the machine as it found it.

Everything it makes (guests, bridges, firewall rules, dnsmasq, mounts) lives in namespaces that end with the test run, as with a
private engine. Its /etc/libvirt, /run, /var/lib/libvirt, /var/cache/libvirt and /var/log/libvirt are directories of its own.
Paths below ``directory`` are the same inside and outside, and QEMU may read them; those below /var/lib/libvirt are not.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .namespaces import (
    ROOT,
    Namespaces,
    NamespacesFailed,
    clean_after_others,
    end_holder,
    one_of,
    remove_directory,
    run,
    started,
    wait_for,
)

NAMES = [f"slipway-hv-{number}" for number in range(1, 17)]
COMMANDS = {
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
# libvirt's directories, and what each is called here.
DIRECTORIES = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}
# The machine's own forwarding, kept in one file with the Molecule labs: whoever leaves last sets it back.
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FORWARDED = Path("/run/slipway-mol.ip_forward")

# A /run of its own hides the machine's D-Bus, through which libvirt would talk to firewalld and machined; a fresh /sys shows this network's
# interfaces, and has none of the machine's cgroups. /dev/kvm is covered by a file that nobody may open: the guests are emulated on every
# machine alike, and libvirt 9 probes QEMU again and again, for seconds each, where it sees a device that its emulator may not open.
MOUNTS = """\
set -eu
directory=$1 resolver=$2
mount -t tmpfs -o mode=755 run /run
umount -R -l /sys
mount -t sysfs sys /sys
mkdir -p /run/libvirt /run/lock "$(dirname "$(readlink -m /etc/resolv.conf)")"
[ -e /etc/resolv.conf ] || cp "$resolver" "$(readlink -m /etc/resolv.conf)"
mount --bind "$resolver" "$(readlink -m /etc/resolv.conf)"
shift 2
while [ $# -gt 0 ]; do mount --bind "$directory/$1" "$2"; shift 2; done
[ ! -e /dev/kvm ] || mount --bind "$directory/nokvm" /dev/kvm
"""

# dnsmasq would ping each address for three seconds before it offers it; nobody else is here.
NETWORK = """\
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>default</name>
  <forward mode='nat'/>
  <bridge name='virbr0' stp='off' delay='0'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp>
  </ip>
  <dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options>
</network>
"""
POOL = "<pool type='dir'><name>default</name><target><path>{path}</path></target></pool>"


# Somebody without rights of his own, whose home and runtime directory are his alone. There is no daemon: his first client starts one. What a
# test runs as him may lie where he has no way, so it is shown to him under /run as well.
PERSON, PERSON_ID = "person", 1999
SESSION = """\
set -eu
directory=$1 name=$2 id=$3
mount -t tmpfs -o mode=755 run /run
for file in passwd group; do cp "/etc/$file" "/run/$file"; mount --bind "/run/$file" "/etc/$file"; done
echo "$name:x:$id:$id::$directory/home:/bin/sh" >>/etc/passwd
echo "$name:x:$id:" >>/etc/group
install -d -m 0700 -o "$id" -g "$id" "$directory/home" "$directory/xdg"
[ ! -e /dev/kvm ] || mount --bind "$directory/nokvm" /dev/kvm
shift 3
while [ $# -gt 0 ]; do mkdir -p "$2"; mount --bind "$1" "$2"; shift 2; done
"""


class HypervisorFailed(NamespacesFailed):
    """The private hypervisor could not be started; the message says why."""


class Hypervisor(Namespaces):
    """One libvirtd in namespaces of its own.

    ``uri`` is where it answers, inside and outside of them; ``images`` is the directory of the pool ``default``.
    """

    failure = HypervisorFailed

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.uri = f"qemu+unix:///system?socket={self.directory}/run/libvirt-sock"
        self.images = self.directory / "images"
        self.log_directory = self.directory / "log" / "qemu"  # what QEMU and the guests' serial ports say
        self.definitions = self.directory / "etc" / "qemu"
        self.base: set[str] = set()

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self, uplink: bool = False) -> None:
        """Make the namespaces and start the daemon in them; with ``uplink`` guests reach what this machine reaches."""
        d = self.directory
        d.mkdir()
        d.chmod(0o711)  # QEMU runs as a user of its own, who must get to the disks
        for name in (*DIRECTORIES, "log/qemu", "images"):
            (d / name).mkdir()
        for name in ("qemu/networks/autostart", "qemu/autostart", "nwfilter", "secrets", "storage/autostart"):
            (d / "etc" / name).mkdir(parents=True, exist_ok=True)
        (d / "etc" / "libvirtd.conf").write_text(
            f'auth_unix_ro = "none"\nauth_unix_rw = "none"\nhost_uuid = "{uuid.uuid4()}"\n'
        )
        (d / "etc" / "qemu.conf").write_text('stdio_handler = "file"\nnamespaces = []\nsecurity_driver = "none"\n')
        (d / "nokvm").touch(mode=0)
        (d / "nokvm").chmod(0)
        # A resolver on this machine's loopback cannot be reached from another network; systemd tells the ones behind it.
        behind = Path("/run/systemd/resolve/resolv.conf")
        shutil.copyfile(behind if behind.exists() else "/etc/resolv.conf", d / "resolv.conf")
        self.hold()
        pairs = [part for pair in DIRECTORIES.items() for part in pair]
        self.in_namespaces("sh", "-c", MOUNTS, "sh", str(d), f"{d}/resolv.conf", *pairs)
        if uplink:
            self._uplink()
        self.start_daemon()

    def start_daemon(self) -> None:
        """Start libvirtd in the namespaces and wait until it answers."""
        self.serve(["libvirtd", "-p", f"{self.directory}/libvirtd.pid"], self.directory / "log" / "libvirtd.log", 60)
        self._remove_bridges_of_nobody()

    def _remove_bridges_of_nobody(self) -> None:
        """Remove the bridge of a network that a killed daemon was about to start: the next one knows nothing of it, and cannot start the network."""
        active = [self.virsh("net-info", name) for name in self.names("network") if self._active("net-info", name)]
        for line in self.in_namespaces("ip", "-brief", "link", "show", "type", "bridge").splitlines():
            if not any(line.split()[0] in info.split() for info in active):
                self.in_namespaces("ip", "link", "delete", line.split()[0])

    def stop_daemon(self, how: str = "TERM") -> None:
        """End libvirtd, gracefully or with KILL; guests and networks run on."""
        pid = (self.directory / "libvirtd.pid").read_text().strip()
        self.in_namespaces("kill", f"-{how}", pid)
        wait_for(lambda: not self.runs(pid), 30, "libvirtd to end")
        (self.directory / "libvirtd.pid").unlink(missing_ok=True)

    def kill_daemon(self) -> None:
        """End libvirtd as a crash would; guests and networks run on."""
        self.stop_daemon("KILL")

    def restart_daemon(self) -> None:
        """End libvirtd and start it again, as an upgrade of its package would; guests and networks run on."""
        self.stop_daemon()
        self.start_daemon()

    def stop(self) -> None:
        """End everything, guests too, and remove every trace."""
        self.end()
        clean(self.name)

    def answers(self) -> bool:
        """Say whether the daemon answers."""
        if not (self.directory / "run" / "libvirt-sock").exists():
            return False
        try:
            return bool(self.virsh("hostname", check=False))
        except OSError:
            return False

    def log(self, lines: int = 5) -> str:
        """Return the last lines of the daemon's log."""
        return " | ".join((self.directory / "log" / "libvirtd.log").read_text(errors="replace").splitlines()[-lines:])

    def _uplink(self) -> None:
        """A way out: a link to the machine's network, which hides us behind its own address."""
        index = NAMES.index(self.name)
        outside, net = _link(self.name), f"10.95.0.{index * 4}"
        outer, inner = f"10.95.0.{index * 4 + 1}", f"10.95.0.{index * 4 + 2}"
        with _forwarding_held():
            if not FORWARDED.exists():
                FORWARDED.write_text(FORWARDING.read_text())
            run(["ip", "link", "add", outside, "type", "veth", "peer", "name", "uplink", "netns", str(self._init)])
            FORWARDING.write_text("1\n")
        run(["ip", "addr", "add", f"{outer}/30", "dev", outside])
        run(["ip", "link", "set", outside, "up"])
        self.in_namespaces("ip", "addr", "add", f"{inner}/30", "dev", "uplink")
        self.in_namespaces("ip", "link", "set", "uplink", "up")
        self.in_namespaces("ip", "route", "add", "default", "via", outer)
        for rule in _rules(outside, net):
            run(["iptables", "-w", *rule[0], "-I", *rule[1]])

    # -- looking and cleaning up -----------------------------------------------------------------------------------

    def virsh(self, *arguments: str, check: bool = True, input: str | None = None) -> str:
        """Run one virsh command against this hypervisor; return its output without blank lines at its end.

        ``input`` is what a file argument /dev/stdin reads: the XML of what is to be defined.
        """
        return run(["virsh", "--quiet", "--connect", self.uri, *arguments], check=check, input=input).rstrip()

    def names(self, kind: str) -> list[str]:
        """Return the names of all domains, networks or pools, sorted."""
        command = {"domain": "list", "network": "net-list", "pool": "pool-list"}[kind]
        return sorted(self.virsh(command, "--all", "--name").split())

    def state(self, domain: str) -> str:
        """Return the state of a domain in virsh's words, "shut off" for one; empty when there is none of that name."""
        return self.virsh("domstate", domain, check=False)

    def snapshot(self) -> dict[str, list]:
        """Return what exists, with states and sizes: equal before and after when nothing was touched.

        A lease has no expiry here, since it is renewed all the time. ``files`` are those that no list of libvirt's shows.
        """
        domains = [[n, self._uuid("domuuid", n), self.state(n)] for n in self.names("domain")]
        networks = [[n, self._uuid("net-uuid", n), self._active("net-info", n)] for n in self.names("network")]
        pools = [[n, self._uuid("pool-uuid", n), self._active("pool-info", n)] for n in self.names("pool")]
        active = [name for name, _, is_active in pools if is_active]
        return {
            "domains": domains,
            "networks": networks,
            "pools": pools,
            "volumes": [volume for pool in active for volume in self._volumes(pool)],
            "leases": self.leases(),
            "files": self._files(),
        }

    def bytes(self) -> bytes:
        """Return the snapshot as bytes, to be compared."""
        return json.dumps(self.snapshot(), sort_keys=True).encode()

    def leases(self) -> list[list[str]]:
        """Return what dnsmasq has given out: network, MAC, address, host name."""
        found = []
        for path in (self.directory / "lib" / "dnsmasq").glob("*.status"):
            with suppress(ValueError):  # an empty file is no JSON
                found += [
                    [path.stem, lease["mac-address"], lease["ip-address"], lease.get("hostname", "")]
                    for lease in json.loads(path.read_text())
                ]
        return sorted(found)

    def _uuid(self, command: str, name: str) -> str:
        return self.virsh(command, name, check=False)

    def _active(self, command: str, name: str) -> bool:
        lines = [line.split() for line in self.virsh(command, name, check=False).splitlines()]
        return ["Active:", "yes"] in lines or ["State:", "running"] in lines

    def _volumes(self, pool: str) -> list[list]:
        """Pool, name and capacity of each; a file that libvirt has not heard of is one. A log has no capacity: it grows."""
        self.virsh("pool-refresh", pool, check=False)
        found = []
        for line in sorted(self.virsh("vol-list", pool).splitlines()):
            name = line.split()[0]
            size = [
                row.split()[1] for row in self.virsh("vol-info", "--bytes", name, pool).splitlines() if "Cap" in row
            ]
            found.append([pool, name, 0 if name.endswith(".log") else int(size[0])])
        return found

    def _files(self) -> list[str]:
        return self._files_in(self.directory / "lib" / "qemu")

    def _files_in(self, top: Path) -> list[str]:
        kinds = ("nvram", "save", "snapshot", "checkpoint", "dump", "ram")
        return sorted(
            str(path.relative_to(top)) for kind in kinds for path in (top / kind).rglob("*") if path.is_file()
        )

    def furnish(self) -> None:
        """Make what a hypervisor usually has: a network with NAT and DHCP, and a pool, both named ``default``."""
        self.virsh("net-define", "/dev/stdin", input=NETWORK)
        self.virsh("pool-define", "/dev/stdin", input=POOL.format(path=self.images))
        for command in ("net-autostart", "net-start", "pool-autostart", "pool-start"):
            self.virsh(command, "default")
        self.base = {"network/default", "pool/default"}

    def clean(self) -> None:
        """Remove every domain, network, pool, volume and lease that a test has made."""
        for name in self.names("domain"):
            self.virsh("destroy", name, check=False)
            data = ("--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram")
            self.virsh("undefine", name, *data)
        for kind, prefix in (("network", "net"), ("pool", "pool")):
            for name in self.names(kind):
                if f"{kind}/{name}" not in self.base:
                    self.virsh(f"{prefix}-destroy", name, check=False)
                    self.virsh(f"{prefix}-undefine", name)
        for directory in (self.images, self.log_directory):
            for path in directory.glob("*"):
                path.unlink()
        if "network/default" in self.base:
            if self.leases():  # a running dnsmasq would not forget them
                self.virsh("net-destroy", "default", check=False)
                for path in (self.directory / "lib" / "dnsmasq").glob("virbr0.*"):
                    path.unlink()
            self.virsh("net-start", "default", check=False)
        if "pool/default" in self.base:
            self.virsh("pool-start", "default", check=False)
            self.virsh("pool-refresh", "default")


class UserSession(Hypervisor):
    """What a desktop has: an ordinary user's own hypervisor, in namespaces of its own. ``shown`` is what he sees besides, by where he sees it."""

    def __init__(self, name: str, shown: Mapping[str, Path] | None = None) -> None:
        super().__init__(name)
        self.uri = "qemu:///session"
        self.home, self.runtime = self.directory / "home", self.directory / "xdg"
        self.images = self.home / ".local/share/libvirt/images/slipway"
        self.log_directory = self.home / ".cache/libvirt/qemu/log"
        self.definitions = self.home / ".config/libvirt/qemu"
        self.shown = dict(shown or {})

    def start(self, uplink: bool = False) -> None:
        """Make the namespaces and the user; ``uplink`` is not for him."""
        self.directory.mkdir()
        self.directory.chmod(0o711)
        (self.directory / "nokvm").touch(mode=0)
        (self.directory / "nokvm").chmod(0)
        self.hold()
        pairs = [part for place, path in self.shown.items() for part in (str(path), place)]
        self.in_namespaces("sh", "-c", SESSION, "sh", str(self.directory), PERSON, str(PERSON_ID), *pairs)
        wait_for(self.answers, 60, "libvirtd to answer an ordinary user")

    @property
    def environment(self) -> dict[str, str]:
        """What tells a program of his whose it is."""
        return {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime), "USER": PERSON, "LOGNAME": PERSON}

    def as_person(self, *command: str) -> list[str]:
        """Return the command line that runs a command as the user, in the namespaces."""
        said = [f"{key}={value}" for key, value in self.environment.items()]
        who = ["--reuid", str(PERSON_ID), "--regid", str(PERSON_ID), "--clear-groups", "--bounding-set=-all"]
        return self.enter("setpriv", *who, "env", "--unset=XDG_CONFIG_HOME", "--unset=XDG_CACHE_HOME", *said, *command)

    def virsh(self, *arguments: str, check: bool = True, input: str | None = None) -> str:
        """Run one virsh command as the user."""
        command = self.as_person("virsh", "--quiet", "--connect", self.uri, *arguments)
        return run(command, check=check, input=input).rstrip()

    def answers(self) -> bool:
        """Say whether his hypervisor answers; asking starts it."""
        return bool(self.virsh("hostname", check=False))

    def stop_daemon(self, how: str = "TERM") -> None:
        """End his libvirtd; guests run on, and the next client starts it again."""
        pid = (self.runtime / "libvirt" / "libvirtd.pid").read_text().strip()
        self.in_namespaces("kill", f"-{how}", pid)
        wait_for(lambda: not self.runs(pid), 30, "libvirtd to end")

    def leases(self) -> list[list[str]]:
        """He has no networks of libvirt's."""
        return []

    def _files(self) -> list[str]:
        return self._files_in(self.definitions)


# -- debris ------------------------------------------------------------------------------------------------------------


def _link(name: str) -> str:
    return name.replace("slipway-hv-", "shv-")


def _rules(outside: str, net: str) -> list[tuple[list[str], list[str]]]:
    """Tables and rules of a way out: its guests look like this machine, and may be forwarded."""
    return [
        (["-t", "nat"], ["POSTROUTING", "-s", f"{net}/30", "!", "-o", outside, "-j", "MASQUERADE"]),
        ([], ["FORWARD", "-i", outside, "-j", "ACCEPT"]),
        ([], ["FORWARD", "-o", outside, "-j", "ACCEPT"]),
    ]


def clean(name: str) -> None:
    """Remove what a hypervisor of this name has left: its holder, its way out, its directory."""
    end_holder(name)
    outside = _link(name)
    if shutil.which("iptables", path=os.defpath + ":/usr/sbin:/sbin"):
        for table, rule in _rules(outside, f"10.95.0.{NAMES.index(name) * 4}"):
            while _succeeds("iptables", "-w", *table, "-C", *rule):
                run(["iptables", "-w", *table, "-D", *rule])
    wait_for(
        lambda: not _succeeds("ip", "link", "show", outside) or _succeeds("ip", "link", "delete", outside),
        15,
        f"{outside} to go",
    )
    _forward_no_more()
    remove_directory(name)


def _succeeds(*command: str) -> bool:
    try:
        run(command)
    except AssertionError:
        return False
    return True


@contextmanager
def _forwarding_held() -> Iterator[None]:
    """Nobody else changes the machine's forwarding meanwhile; tests/hosts takes the same lock."""
    with FORWARDING.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def forwarding_needed() -> bool:
    """Say whether somebody's way out is there."""
    return any(link.startswith(("shv-", "swm-")) for link in os.listdir("/sys/class/net"))


def forwarding_without_us() -> str:
    """Return how the machine forwards when nobody's way out is there."""
    with _forwarding_held():
        return (FORWARDED if FORWARDED.exists() else FORWARDING).read_text()


def _forward_no_more() -> None:
    """The machine forwards again as it did, once the last who needed it is gone."""
    with _forwarding_held():
        if FORWARDED.exists() and not forwarding_needed():
            FORWARDING.write_text(FORWARDED.read_text())
            FORWARDED.unlink()


def clean_leftovers() -> list[str]:
    """Clean up after every earlier run that no longer lives; return the names that were found."""
    return clean_after_others(NAMES, lambda name: (ROOT / name).exists(), clean)


@contextmanager
def private_hypervisor(uplink: bool = False) -> Iterator[Hypervisor]:
    """A running hypervisor under a free name."""
    with (
        one_of(NAMES, "hypervisor", COMMANDS, clean_leftovers) as name,
        started(Hypervisor(name), uplink) as hypervisor,
    ):
        yield hypervisor


@contextmanager
def user_session(shown: Mapping[str, Path] | None = None) -> Iterator[UserSession]:
    """The hypervisor of an ordinary user, under a free name."""
    with one_of(NAMES, "hypervisor", COMMANDS, clean_leftovers) as name, started(UserSession(name, shown)) as session:
        yield session
