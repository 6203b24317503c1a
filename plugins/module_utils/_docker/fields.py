# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fields of a container that need more than a path: how they are written, read back and compared. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._converge import ports
from .._converge.desired import quote
from .._converge.observed import Observed
from .._converge.option import dig
from . import values

PREDEFINED_NETWORKS = ("bridge", "host", "none", "default")
ANONYMOUS = re.compile(r"[0-9a-f]{64}")


# -- reading and writing the few fields that do not live at one path -------------------------------------------


def read_ports(raw: Mapping) -> list:
    """Bindings from an inspect document."""
    return values.published_back(dig(raw, "HostConfig.PortBindings"))


def write_ports(document: dict, bindings: list) -> None:
    """Bindings into a create document; what is published is exposed too."""
    exposed = document.setdefault("Config", {}).setdefault("ExposedPorts", {})
    table = document.setdefault("HostConfig", {}).setdefault("PortBindings", {})
    for port, ip, number in bindings:
        exposed[port] = {}
        table.setdefault(port, []).append({"HostIp": ip, "HostPort": number})


def shown_ports(bindings: Iterable[tuple]) -> tuple[str, ...]:
    """Bindings as a user writes them, the shortest way."""
    return tuple(ports.shown(binding) for binding in bindings)


def unbound(raw: Mapping) -> list[str]:
    """Ports of an inspect document that were asked for and are not bound as asked: `host address:port:port/protocol`."""
    found = []
    shown = dig(raw, "NetworkSettings.Ports") or {}
    for port, wanted in (dig(raw, "HostConfig.PortBindings") or {}).items():
        bound = shown.get(port) or []
        for item in wanted or ():
            ip, number = item.get("HostIp") or "", item.get("HostPort") or ""
            if not any(
                (not ip or ip == other.get("HostIp")) and _within(other.get("HostPort") or "", number)
                for other in bound
            ):
                found.append(":".join(filter(None, (ip, number, port))))
    return found


def _within(port: str, asked: str) -> bool:
    """Whether a bound port is the one, or in the range, that was asked for; nothing asked is any."""
    first, _dash, last = asked.partition("-")
    return not first or (port.isdigit() and int(first) <= int(port) <= int(last or first))


def read_exposed(raw: Mapping) -> dict:
    """Exposed ports of an inspect document."""
    return dict(dig(raw, "Config.ExposedPorts") or {})


def write_exposed(document: dict, ports: Mapping) -> None:
    """Exposed ports into a create document."""
    document.setdefault("Config", {}).setdefault("ExposedPorts", {}).update(ports)


def read_volumes(raw: Mapping) -> list[tuple[str, str, str]]:
    """Volumes of an inspect document, less those that were carried over from an older container."""
    named = [values.bind(text) for text in dig(raw, "HostConfig.Binds") or ()]
    named = [item for item in named if not ANONYMOUS.fullmatch(item[0])]
    return named + [("", target, "") for target in dig(raw, "Config.Volumes") or ()]


def write_volumes(document: dict, items: list[tuple[str, str, str]]) -> None:
    """Volumes into a create document: binds for what has a source, anonymous volumes for the rest."""
    binds = [values.bind_text(item) for item in items if item[0]]
    if binds:
        document.setdefault("HostConfig", {})["Binds"] = binds
    for _source, target, _modes in (item for item in items if not item[0]):
        document.setdefault("Config", {}).setdefault("Volumes", {})[target] = {}


def volumes_match(desired: Iterable[str], observed: Iterable[str]) -> bool:
    """Named and host volumes must be the same; an image may add anonymous ones of its own."""
    ours, theirs = set(desired or ()), set(observed or ())
    anonymous = {item for item in theirs if item.count(":") == 0}
    return ours - theirs == set() and theirs - anonymous - ours == set()


def encode_networks(items: list[Mapping]) -> dict[str, dict]:
    """{network: endpoint settings} in the order in which they were written."""
    encoded: dict[str, dict] = {}
    for item in items:
        name = item.get("name") or ""
        if name in encoded:
            raise ValueError(f"{quote(name)} is there twice; join each network once")
        if name in ("host", "none"):
            raise ValueError(f"{quote(name)} cannot be joined; write network_mode: {name} instead of networks")
        settings: dict[str, Any] = {}
        ipam = {}
        if item.get("ipv4_address"):
            ipam["IPv4Address"] = ports.address(item["ipv4_address"], 4)
        if item.get("ipv6_address"):
            ipam["IPv6Address"] = ports.address(item["ipv6_address"], 6)
        if ipam:
            if name in PREDEFINED_NETWORKS:
                raise ValueError(f"a static address on {quote(name)} is not possible; use a network of your own")
            settings["IPAMConfig"] = ipam
        if item.get("aliases"):
            settings["Aliases"] = [values.hostname(alias) for alias in item["aliases"]]
        if item.get("links"):
            settings["Links"] = list(item["links"])
        if item.get("driver_opts"):
            settings["DriverOpts"] = values.texts(item["driver_opts"])
        encoded[name] = settings
    return encoded


def read_networks(raw: Mapping) -> dict[str, dict]:
    """Endpoint settings of an inspect document, less the names engines add by themselves."""
    shown = {}
    own = ((raw.get("Id") or "")[:12], dig(raw, "Config.Hostname"))  # engines add these by themselves
    for name, settings in (dig(raw, "NetworkSettings.Networks") or {}).items():
        settings = dict(settings or {})
        settings["Aliases"] = [alias for alias in settings.get("Aliases") or () if alias not in own]
        shown[name] = settings
    return shown


def endpoint(observed: Observed, network: str) -> dict[str, Any]:
    """The settings a container has on a network, less what the engine filled in by itself."""
    shown = read_networks(observed.raw).get(network) or {}
    return {key: shown[key] for key in ("IPAMConfig", "Links", "DriverOpts", "Aliases") if shown.get(key)}


def decode_networks(networks: Mapping | None) -> dict[str, dict]:
    """{network: {what was said of it}}; what is empty is left out."""
    decoded: dict[str, dict] = {}
    for name, settings in (networks or {}).items():
        ipam = settings.get("IPAMConfig") or {}
        said = {
            "aliases": tuple(sorted(settings.get("Aliases") or ())),
            "ipv4_address": ipam.get("IPv4Address"),
            "ipv6_address": ipam.get("IPv6Address"),
            "links": tuple(sorted(settings.get("Links") or ())),
            "driver_opts": settings.get("DriverOpts"),
        }
        decoded[name] = {key: value for key, value in said.items() if value}
    return decoded


def write_networks(document: dict, networks: Mapping) -> None:
    """Only the first network fits in a create call of every engine; the others are connected before the start."""
    first = next(iter(networks))
    document.setdefault("HostConfig", {}).setdefault("NetworkMode", first)
    document["NetworkingConfig"] = {"EndpointsConfig": {first: networks[first]}}


def networks_match(desired: Mapping, observed: Mapping) -> bool:
    """The same networks, and on each what was said of it."""
    if set(desired) != set(observed or {}):
        return False
    return all(observed[name].get(key) == value for name, said in desired.items() for key, value in said.items())


# -- encoders and decoders of one field ------------------------------------------------------------------------


def encode_command(value: Any) -> list[str]:
    """The words of a command."""
    found = values.words(value)
    if not found:
        raise ValueError("is empty; leave it out to run what the image says")
    return found


def encode_entrypoint(value: Any) -> list[str]:
    """The words of an entry point; none takes the image's away."""
    return values.words(value) or [""]  # a single empty word takes the image's entrypoint away


def decode_words(value: Any) -> tuple[str, ...]:
    """Words as a tuple; nothing and the empty entry point are the same."""
    return () if value in (None, [""], "") else tuple([value] if isinstance(value, str) else value)


def decode_image(value: Any) -> str:
    """A reference in its shortest spelling; what is no reference stays as it is."""
    try:
        return values.reference(value or "")
    except ValueError:
        return value or ""


def encode_hosts(value: Mapping) -> list[str]:
    """name:address lines."""
    lines = []
    for host, ip in values.texts(value).items():
        lines.append(f"{host}:{ip if ip == 'host-gateway' else ports.address(ip)}")
    return sorted(lines)


def decode_hosts(lines: Iterable[str] | None) -> dict[str, str]:
    """The dictionary of name:address lines (name=address in newer engines)."""
    pairs = [line.partition("=" if "=" in line else ":") for line in lines or ()]
    return {host: ip for host, _separator, ip in pairs}


def encode_devices(items: list[str]) -> list[dict]:
    """Devices from host:container:rights."""
    devices = []
    for item in items:
        parts = str(item).split(":")
        if len(parts) == 2 and not parts[1].startswith("/"):
            parts = [parts[0], parts[0], parts[1]]
        outside, inside, rights = (parts + [parts[0], "rwm"][len(parts) - 1 :])[:3]
        if (
            len(parts) > 3
            or not outside.startswith("/")
            or not inside.startswith("/")
            or not set(rights) <= set("rwm")
            or not rights
        ):
            raise ValueError(f"{quote(item)} is not a device; write /dev/fuse or /dev/sda:/dev/xvda:rwm")
        devices.append({"PathOnHost": outside, "PathInContainer": inside, "CgroupPermissions": rights})
    return devices


def decode_devices(devices: Iterable[Mapping] | None) -> tuple[str, ...]:
    """host:container:rights lines."""
    return tuple(
        sorted(f"{item['PathOnHost']}:{item['PathInContainer']}:{item['CgroupPermissions']}" for item in devices or ())
    )


def encode_tmpfs(items: list[str]) -> dict[str, str]:
    """{path: options} from path:options."""
    found = {}
    for item in items:
        path, _colon, options = str(item).partition(":")
        if not path.startswith("/"):
            raise ValueError(f"{quote(item)}: the path is not absolute; write /run or /run:size=64m")
        path = path.rstrip("/")
        if not path:
            raise ValueError(f"{quote(item)} would cover the container's root; give it a path below /")
        if path in found:
            raise ValueError(f"{quote(path)} is there twice; keep one")
        for option in options.split(",") if options else ():
            if not TMPFS.fullmatch(option):
                raise ValueError(
                    f"{quote(item)}: {quote(option)} is not an option of a tmpfs; write size=64m or mode=1777"
                )
        found[path] = options
    return found


# https://github.com/moby/sys/blob/mount/v0.3.3/mount/flags_unix.go
TMPFS = re.compile(
    r"defaults|ro|rw|(no)?(suid|dev|exec|atime|diratime|relatime|strictatime|mand)|(a|dir)?sync|remount|r?(bind|private|shared|slave|unbindable)"
    r"|size=\d+[kmgKMG%]?|mode=[0-7]+|(uid|gid|nr_inodes|nr_blocks)=\d+[kmgKMG]?|mpol=.+"
)


HEALTH = {
    "test": "Test",
    "interval": "Interval",
    "timeout": "Timeout",
    "retries": "Retries",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def encode_health(value: Mapping) -> dict:
    """A health check in the API form; what is left out is the image's."""
    encoded: dict[str, Any] = {}
    test = value.get("test")
    if test is not None:
        if isinstance(test, str):
            encoded["Test"] = ["NONE"] if test.strip().upper() == "NONE" else ["CMD-SHELL", test]
        else:
            encoded["Test"] = values.words(test)
        if not encoded["Test"] or encoded["Test"][0] not in ("NONE", "CMD", "CMD-SHELL"):
            raise ValueError(
                f"{quote(test)} is not a test; write a shell command, or a list that begins with CMD or CMD-SHELL, or NONE"
            )
        if encoded["Test"][0] != "NONE" and len(encoded["Test"]) < 2:
            raise ValueError(f"{quote(test)} has no command")
    for name in ("interval", "timeout", "start_period", "start_interval"):
        if value.get(name) is not None:
            try:
                encoded[HEALTH[name]] = values.duration(value[name])
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
            if 0 < encoded[HEALTH[name]] < 1_000_000:
                raise ValueError(f"{name} {quote(value[name])} is less than the engine's minimum of 1ms")
    if value.get("retries") is not None:
        encoded["Retries"] = values.not_negative(value["retries"])
    return encoded


def decode_health(value: Mapping | None) -> dict:
    """What is said of a health check."""
    decoded = {name: (value or {}).get(key) for name, key in HEALTH.items()}
    decoded = {name: item for name, item in decoded.items() if item}
    if "test" in decoded:
        decoded["test"] = tuple(decoded["test"])
    return decoded


def encode_mounts(items: list[Mapping]) -> list[dict]:
    """Mounts in the API form."""
    return [_encode_mount(item) for item in items]


MOUNT_OWNERS = {
    "propagation": "bind",
    **dict.fromkeys(("no_copy", "volume_driver", "volume_options"), "volume"),
    **dict.fromkeys(("tmpfs_size", "tmpfs_mode"), "tmpfs"),
}


def _encode_mount(item: Mapping) -> dict:
    kind, target, source = item.get("type") or "volume", item.get("target") or "", item.get("source")
    if not target.startswith("/"):
        raise ValueError(f"{quote(target)} is not an absolute path in the container; begin it with /")
    if kind == "bind" and not (source or "").startswith("/"):
        raise ValueError(f"{quote(source)} is not an absolute path on the host, which a bind mount needs")
    if kind == "tmpfs" and source:
        raise ValueError(f"a tmpfs mount has no source; take {quote(source)} out")
    if kind == "volume" and source and not values.NAME.fullmatch(source):
        raise ValueError(f"{quote(source)} is not a volume's name; write type: bind for a path of the host")
    if not target.rstrip("/"):
        raise ValueError(f"{quote(target)} would cover the container's root; give the mount a path below /")
    for option, owner in MOUNT_OWNERS.items():
        if item.get(option) is not None and kind != owner:
            raise ValueError(f"{option} means something with type: {owner} only, and this is a {kind}; take it out")
    mount: dict[str, Any] = {"Type": kind, "Target": target.rstrip("/") or "/"}
    if source:
        mount["Source"] = source
    if item.get("read_only") is not None:
        mount["ReadOnly"] = item["read_only"]
    if kind == "bind" and item.get("propagation"):
        mount["BindOptions"] = {"Propagation": item["propagation"]}
    if kind == "volume":
        options: dict[str, Any] = {}
        if item.get("no_copy") is not None:
            options["NoCopy"] = item["no_copy"]
        if item.get("volume_driver"):
            options["DriverConfig"] = {
                "Name": item["volume_driver"],
                "Options": values.texts(item.get("volume_options") or {}),
            }
        if options:
            mount["VolumeOptions"] = options
    if kind == "tmpfs":
        options = {}
        if item.get("tmpfs_size") is not None:
            options["SizeBytes"] = values.size(item["tmpfs_size"])
        if item.get("tmpfs_mode") is not None:
            options["Mode"] = _octal(item["tmpfs_mode"])
        if options:
            mount["TmpfsOptions"] = options
    return mount


def _octal(text: str) -> int:
    try:
        return int(str(text), 8)
    except ValueError:
        raise ValueError(f'{quote(text)} is not a file mode; write "1777"') from None


def decode_mounts(mounts: Iterable[Mapping] | None) -> tuple[str, ...]:
    """One text per mount, with what was said and without what engines add."""
    shown = []
    for mount in mounts or ():
        parts = [mount.get("Type") or "volume", mount.get("Source") or "", mount.get("Target") or ""]
        parts += ["ro"] if mount.get("ReadOnly") else []
        for path in (
            "BindOptions.Propagation",
            "VolumeOptions.NoCopy",
            "VolumeOptions.DriverConfig.Name",
            "TmpfsOptions.SizeBytes",
            "TmpfsOptions.Mode",
        ):
            value = dig(mount, path)
            parts += [f"{path.rpartition('.')[2]}={value}"] if value else []
        shown.append(":".join(parts))
    return tuple(sorted(shown))


def decode_security(value: Iterable[str] | None) -> tuple[str, ...]:
    """Security options in one spelling, less what the engine adds for privileged containers."""
    equals = (re.sub("^(seccomp|apparmor|label|no-new-privileges):", r"\1=", item) for item in value or ())
    return tuple(sorted(item.replace("privileges=true", "privileges") for item in equals if item != "label=disable"))


def encode_mode(value: str) -> str:
    """A network mode."""
    if value.startswith("container:") and not values.NAME.fullmatch(value[len("container:") :]):
        raise ValueError(f"{quote(value)} names no container; write container:NAME")
    if not value.startswith("container:") and not values.NAME.fullmatch(value):
        raise ValueError(
            f"{quote(value)} is not a network mode; write bridge, host, none, container:NAME or a network's name"
        )
    return value


def encode_swappiness(value: int) -> int:
    """A percentage."""
    if not 0 <= value <= 100:
        raise ValueError(f"{quote(value)} is not between 0 and 100")
    return value


def encode_shares(value: int) -> int:
    """A weight."""
    if value and not 2 <= value <= 262144:
        raise ValueError(
            f"{quote(value)} is not a share of processor time; write a number from 2 to 262144 (1024 is usual)"
        )
    return value


def encode_cpuset(value: str) -> str:
    """A set of processors."""
    if value and not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", value):
        raise ValueError(f'{quote(value)} is not a set of processors; write "0-2" or "0,1"')
    for part in value.split(",") if value else ():
        first, _dash, last = part.partition("-")
        if last and int(last) < int(first):
            raise ValueError(f'{quote(value)} has a range that ends before it begins; write "{last}-{first}"')
    return value


def encode_pids(value: int) -> int:
    """A limit of processes."""
    if value < -1:
        raise ValueError(f"{quote(value)} is negative; write a number of processes, or 0 for no limit")
    return value


def encode_patience(value: int) -> int:
    """Seconds to stop in; -1 is as long as it takes."""
    if value < -1:
        raise ValueError(f"{quote(value)} is negative; write a number of seconds, or -1 for as long as it takes")
    return value


def encode_adjustment(value: int) -> int:
    """An adjustment of the OOM score."""
    if not -1000 <= value <= 1000:
        raise ValueError(f"{quote(value)} is not between -1000 and 1000")
    return value


def ordered(value: Iterable | None) -> tuple:
    """A list whose order does not matter."""
    return tuple(sorted(value or ()))


def in_order(value: Iterable | None) -> tuple:
    """A list whose order matters."""
    return tuple(value or ())


def otherwise(default: Any) -> Any:
    """A decoder that gives ``default`` where the engine shows nothing."""
    return lambda value: value or default


def pids(value: int | None) -> int:
    """A limit of processes; nothing and -1 are no limit."""
    return 0 if value in (None, -1) else value
