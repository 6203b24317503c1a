# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection to a hypervisor: the only place that imports libvirt. Its errors become ours here.

What changes something goes through ``change``, so that it can be counted, and broken, in one place.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from glob import glob
from itertools import dropwhile
from typing import Any, BinaryIO

from .._converge.errors import EngineError, EngineLost, MissingLibrary, SlipwayError
from . import address, capabilities, host_ports, names, sources, uris, values, xml

REFRESHING = 5.0  # seconds in which libvirt has looked through a pool
PATIENCE = 30.0  # seconds for a daemon that was there to come back
REFUSED = 400  # a clear no: nothing was done
MISSING = 404
CHUNK = 1 << 18  # bytes of a message to libvirt
BLOCK = 1 << 20  # bytes of a read from a file
LAST_WORDS = 3  # lines of QEMU's log that are shown
# Where QEMU's helpers say that they are there: https://www.qemu.org/docs/master/interop/vhost-user.html#backend-program-conventions
VIRTIOFSD = tuple(f"{place}/qemu/vhost-user/*virtiofsd*.json" for place in ("/usr/share", "/usr/local/share", "/etc"))
NO_VIRTIOFSD = "cannot be handed in, for this host has no virtiofsd; install the package virtiofsd, or say read_only: true, which needs none"
EMULATORS = ("qemu", "kvm", "hvf")  # domain types of QEMU's


def library() -> Any:
    """Import libvirt-python and return it."""
    try:
        import libvirt
    except ImportError as error:
        raise MissingLibrary(
            "libvirt for Python",
            str(error),
            "install python3-libvirt (the role slipway.docker.machine does), or `pip install libvirt-python` there, "
            "or set ansible_python_interpreter to a Python that has it",
        ) from None
    return libvirt


class Hypervisor:
    """A hypervisor to call. Threads may share it."""

    def __init__(self, uri: str) -> None:
        self.libvirt = library()
        self.uri = uri
        self.libvirt.registerErrorHandler(lambda *_said: None, None)  # what libvirt says we say ourselves
        self._digests: dict[str, str] = {}
        self._connection = self._open()

    def _open(self) -> Any:
        try:
            return self.libvirt.open(self.uri)
        except self.libvirt.libvirtError as error:
            raise EngineLost(
                f"the hypervisor at {self.uri} cannot be reached: {_words(error)}; start libvirtd, or check uri"
            ) from None

    def close(self) -> None:
        """End the connection."""
        with suppress(self.libvirt.libvirtError):  # it may be gone already
            self._connection.close()

    @property
    def connection(self) -> Any:
        """The connection, made anew when the daemon has been restarted meanwhile."""
        if not self._alive():
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    self._connection = self._open()
                    break
                except EngineLost:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)
        return self._connection

    def _alive(self) -> bool:
        try:
            return bool(self._connection.isAlive())
        except self.libvirt.libvirtError:
            return False

    def answers(self) -> bool:
        """Wait, within bounds, until there is a hypervisor to talk to; False when there is none."""
        try:
            return bool(self.read(lambda: self.connection.getLibVersion()))
        except EngineError:
            return False

    # -- calls -------------------------------------------------------------------------------------------------

    def read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call that changes nothing; once more when the connection broke meanwhile."""
        try:
            return self.call(function, *arguments)
        except EngineLost:
            return self.call(function, *arguments) if self.connection else None

    def change(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call that changes something, once."""
        try:
            return self.call(function, *arguments)
        except EngineError as error:
            raise type(error)(f"{what}: {error}", error.status) from None

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call, once; what libvirt raises becomes ours."""
        try:
            return function(*arguments)
        except self.libvirt.libvirtError as error:
            code = error.get_error_code()
            if not self._alive():
                raise EngineLost(f"the hypervisor did not answer: {_words(error)}") from None
            missing = code in (
                self.libvirt.VIR_ERR_NO_DOMAIN,
                self.libvirt.VIR_ERR_NO_STORAGE_VOL,
                self.libvirt.VIR_ERR_NO_NETWORK,
                self.libvirt.VIR_ERR_NO_STORAGE_POOL,
            )
            raise EngineError(_words(error), MISSING if missing else REFUSED) from None

    # -- what there is -----------------------------------------------------------------------------------------

    @cached_property
    def capabilities(self) -> str:
        """What the hypervisor says of itself and its host."""
        return self.read(lambda: self.connection.getCapabilities())

    @cached_property
    def host(self) -> str:
        """What tells this host from every other one.

        Without rights libvirt cannot read the UUID in the firmware, and makes one up whenever a session's daemon starts.
        """
        if uris.is_session(self.uri):
            return names.session(_machine_id(self.uri) or self.read(lambda: self.connection.getHostname()))
        return capabilities.read(self.capabilities).host or self.read(lambda: self.connection.getHostname())

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What new machines are made with where nothing was said, see capabilities."""
        found = capabilities.defaults(capabilities.read(self.capabilities), self.uri)
        found["free_pages"] = found["accelerator"] in EMULATORS and self._takes_free_pages()
        # Without root libvirt has virtiofs from 10.0 on only: https://libvirt.org/news.html
        found["folder_way"] = values.P9 if uris.is_session(self.uri) else values.VIRTIOFS
        return found

    def _takes_free_pages(self) -> bool:
        """Whether a guest can say which of its pages are free: https://libvirt.org/formatdomain.html#memory-balloon-device."""
        libvirt, emulator = (
            self.read(lambda: self.connection.getLibVersion()),
            self.read(lambda: self.connection.getVersion()),
        )
        return libvirt >= 6_009_000 and emulator >= 5_001_000

    def machines(self) -> list[dict[str, Any]]:
        """Documents of all machines, with State, Autostart and, of those that run, what they run with (Live)."""
        found = []
        for domain in self.read(lambda: self.connection.listAllDomains()):
            raw = self.if_there(self._machine, domain)
            if raw is not None:
                found.append(raw)
        return found

    def definition(self, domain: Any) -> str:
        """The XML of a domain as it counts from its next start on, with what is secret in it."""
        return self.read(self._definition, domain)

    def _definition(self, domain: Any) -> str:
        return domain.XMLDesc(self.libvirt.VIR_DOMAIN_XML_INACTIVE | self.libvirt.VIR_DOMAIN_XML_SECURE)

    def _machine(self, domain: Any) -> dict[str, Any]:
        state, reason = domain.state()[:2]
        lasts = domain.isPersistent()
        raw = xml.document(self._definition(domain) if lasts else domain.XMLDesc(0))
        raw["State"], raw["Reason"] = state, reason
        raw["Autostart"] = self._autostart(domain) if lasts else False
        raw["Live"] = xml.document(domain.XMLDesc(0)) if domain.isActive() else {}
        return raw

    def _autostart(self, domain: Any) -> bool:
        try:
            return bool(domain.autostart())
        except self.libvirt.libvirtError as error:
            if error.get_error_code() != self.libvirt.VIR_ERR_NO_SUPPORT:
                raise
            return False  # VirtualBox has no such thing

    def networks(self) -> list[dict[str, Any]]:
        """Documents of all networks, with Active and Autostart."""
        found = []
        for item in self._list("listAllNetworks"):
            raw = self.if_there(
                lambda item=item: {
                    **xml.network_document(self._defined(item)),
                    "Active": bool(item.isActive()),
                    "Autostart": bool(item.autostart()),
                }
            )
            if raw is not None:
                found.append(raw)
        return found

    def _defined(self, network: Any) -> str:
        try:
            return network.XMLDesc(self.libvirt.VIR_NETWORK_XML_INACTIVE)
        except self.libvirt.libvirtError as error:
            if error.get_error_code() != self.libvirt.VIR_ERR_INVALID_ARG:
                raise
            return network.XMLDesc()  # libvirt's test hypervisor knows no such flag

    def pools(self) -> dict[str, str]:
        """Directories of all active pools that have one, by name."""
        found = {}
        for item in self._list("listAllStoragePools"):
            path = self.if_there(lambda item=item: xml.pool_path(item.XMLDesc()) if item.isActive() else "")
            if path:
                found[item.name()] = path
        return found

    def volumes(self) -> dict[str, dict[str, Any]]:
        """Documents of all volumes in active pools, by path."""
        found = {}
        for pool in self._list("listAllStoragePools"):
            for volume in self.if_there(lambda pool=pool: pool.listAllVolumes() if pool.isActive() else []) or ():
                raw = self.if_there(lambda volume=volume: xml.volume_document(volume.XMLDesc()))
                if raw is not None:
                    found[raw["Path"]] = raw
        return found

    def _list(self, name: str) -> Iterator[Any]:
        """All objects of a sort; none when the driver knows no such thing."""
        try:
            yield from self.read(lambda: getattr(self.connection, name)())
        except EngineError as error:
            if isinstance(error, EngineLost):
                raise

    def if_there(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer to a call that changes nothing, or None when its object is not there, or no more."""
        try:
            return self.read(function, *arguments)
        except EngineError as error:
            if error.status != MISSING:
                raise
            return None

    # -- objects -----------------------------------------------------------------------------------------------

    def domain(self, name: str) -> Any:
        """A domain by name or UUID; EngineError with status 404 when there is none."""
        return self.read(self._domain, name)

    def find_domain(self, name: str) -> Any:
        """A domain by name or UUID, None when there is none."""
        return self.if_there(self._domain, name)

    def _domain(self, name: str) -> Any:
        by_uuid = len(name) == 36 and name.count("-") == 4
        return self.connection.lookupByUUIDString(name) if by_uuid else self.connection.lookupByName(name)

    def network(self, name: str) -> Any:
        """A network by name; EngineError with status 404 when there is none."""
        return self.read(self._network, name)

    def find_network(self, name: str) -> Any:
        """A network by name, None when there is none."""
        return self.if_there(self._network, name)

    def _network(self, name: str) -> Any:
        return self.connection.networkLookupByName(name)

    def pool_of(self, path: str) -> Any:
        """The pool whose directory holds this path; EngineError with status 404 when there is none."""
        return self.read(self._pool, path)

    def _pool(self, path: str) -> Any:
        return self.connection.storagePoolLookupByTargetPath(os.path.dirname(path))

    def volume(self, path: str) -> Any:
        """A volume by its path, None when there is none; the pool is looked through again before that is said.

        libvirt looks through a pool by itself when an upload ends, and then knows not all of its volumes for a moment. A file that
        is there is a volume, so it is asked for until it is found.
        """
        pool = self.if_there(self._pool, path)
        if pool is None:
            return None
        name, deadline, refreshed = os.path.basename(path), time.monotonic() + REFRESHING, False
        while True:
            volume = self.if_there(pool.storageVolLookupByName, name)
            if volume is not None:
                return volume
            if refreshed and (time.monotonic() > deadline or not os.path.exists(path)):
                return None
            self.refresh(pool)
            refreshed = True

    def refresh(self, pool: Any) -> None:
        """Look through a pool's directory again; a pool in which something is being written refuses that, but not for long."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.read(lambda: pool.refresh())
                return
            except EngineError as error:
                if "asynchronous jobs" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def addresses(self, domain: Any) -> list[str]:
        """Where a running machine can be reached, the surest first: leases that are valid, the agent, what the host has seen."""
        macs, sources = self._sources(domain)
        return address.addresses(macs, sources.values())

    def whereabouts(self, domain: Any) -> dict[str, list[str]]:
        """What each source by itself says of that: lease, agent, neighbour."""
        macs, sources = self._sources(domain)
        return {name: address.addresses(macs, [source]) for name, source in sources.items()}

    def _sources(self, domain: Any) -> tuple[list[str], dict[str, Callable[[], address.Known]]]:
        cards = xml.document(self.read(domain.XMLDesc, 0))["Interfaces"]
        networks = sorted({card["Source"] for card in cards.values() if card["Type"] == "network"})
        return address.outside(cards), {
            "lease": lambda: self._leased(networks),
            "agent": lambda: self._told(domain, self.libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT),
            "neighbour": lambda: self._told(domain, self.libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP),
        }

    def _leased(self, networks: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in networks:
            with suppress(EngineError):  # a driver that knows no leases; the next source is asked
                found.update(address.leased(self.read(self.network(name).DHCPLeases) or (), time.time()))
        return found

    def _told(self, domain: Any, source: int) -> dict[str, list[str]]:
        with suppress(EngineError):
            return address.told(self.read(domain.interfaceAddresses, source))
        return {}

    def digest(self, source: str) -> str:
        """The digest of an image's file on this host, read once; see sources."""
        if source not in self._digests:
            self._digests[source] = sources.digest(source)
        return self._digests[source]

    def capacity_of(self, source: str, form: str) -> int:
        """Bytes of the disk in an image's file on this host; 0 when that is not known yet."""
        return sources.capacity(source, form)

    def refusal(self, binding: tuple[str, str, str]) -> str:
        """Why a port of the hypervisor's host cannot be had; empty when it can, or nobody here can know."""
        return host_ports.refusal(binding) if uris.is_here(self.uri) else ""

    def refusal_of_folder(self, source: str, read_only: bool) -> str:
        """Why a folder of the hypervisor's host cannot be handed to a guest; empty when it can, or nobody here can know."""
        if not uris.is_here(self.uri):
            return ""
        if not os.path.isdir(source):
            return "is no folder of this host; make it, or correct source"
        if not uris.is_session(self.uri):  # another user runs QEMU there, and root what serves virtiofs
            return "" if read_only or any(glob(place) for place in VIRTIOFSD) else NO_VIRTIOFSD
        if not os.access(source, os.R_OK | os.X_OK):
            return "is a folder that whoever runs this may not read; let him, or leave it out"
        if not read_only and not os.access(source, os.W_OK):
            return "is a folder that whoever runs this may not write to; let him, or say read_only: true"
        return ""

    def snapshots(self, name: str) -> list[str]:
        """Names of a machine's snapshots; none when the driver knows no such thing."""
        try:
            return sorted(self.read(lambda: self.domain(name).snapshotListNames()))
        except EngineLost:
            raise
        except EngineError:
            return []

    def last_words(self, name: str) -> str:
        """The end of what QEMU has said in its log since it was started; empty when that log is not to be had here."""
        folder = uris.log_folder(self.uri)
        if not folder:
            return ""
        try:
            with open(os.path.join(folder, f"{name}.log"), encoding="utf-8", errors="replace") as log:
                lines = log.read().rpartition(": starting up ")[2].splitlines()
        except OSError:
            return ""
        # The command line comes first; all of its lines but the last end in a backslash.
        told = list(dropwhile(lambda line: line.endswith("\\"), lines[1:]))[1:]
        return " | ".join(line.strip() for line in told[-LAST_WORDS:])

    @property
    def version(self) -> str:
        """The version of libvirt at the other end."""
        number = self.read(lambda: self.connection.getLibVersion())
        return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"

    # -- bytes -------------------------------------------------------------------------------------------------

    def _file(self, volume: Any, mode: str) -> BinaryIO | None:
        """A volume's file, when it is on this host and may be opened here: its bytes go some times as fast as through libvirt."""
        path = self.call(volume.path)
        if uris.is_here(self.uri) and os.path.isfile(path):
            with suppress(OSError):
                return open(path, mode, buffering=0)
        return None

    def upload(self, volume: Any, chunks: Iterator[bytes], length: int) -> None:
        """Write bytes to the beginning of a volume."""
        file = self._file(volume, "r+b")
        if file is not None:
            with file:
                for chunk in chunks:
                    _write(file, chunk)
            return
        stream = self.call(lambda: self.connection.newStream())
        try:
            self.call(volume.upload, stream, 0, length)
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[self.call(stream.send, bytes(view[:CHUNK])) :]
            self.call(stream.finish)
        except BaseException:
            _abort(stream)
            raise

    def download(self, volume: Any, limit: int = 0) -> Iterator[bytes]:
        """Bytes of a volume, from its end when there is a limit."""
        file = self._file(volume, "rb")
        if file is not None:
            with file:
                yield from _bytes(file, limit)
            return
        stream = self.call(lambda: self.connection.newStream())
        length = self.call(lambda: volume.info())[1]
        start = max(0, length - limit) if limit else 0
        try:
            self.call(volume.download, stream, start, length - start)
            while True:
                chunk = self.call(stream.recv, CHUNK)
                if not chunk:
                    break
                yield chunk
            self.call(stream.finish)
        except BaseException:
            _abort(stream)
            raise


def _machine_id(uri: str) -> str:
    """https://www.freedesktop.org/software/systemd/man/latest/machine-id.html; empty of another host, or one that has none."""
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as file:
            return file.read().strip() if uris.is_here(uri) else ""
    except OSError:
        return ""


def _bytes(file: BinaryIO, limit: int) -> Iterator[bytes]:
    try:
        file.seek(max(0, os.fstat(file.fileno()).st_size - limit) if limit else 0)
        while chunk := file.read(BLOCK):
            yield chunk
    except OSError as error:
        raise EngineError(f"{file.name} cannot be read: {error.strerror}", REFUSED) from None


def _write(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise EngineError(f"{file.name} cannot be written: {error.strerror}", REFUSED) from None


def _abort(stream: Any) -> None:
    with suppress(Exception):  # the stream is broken already, and the first error says why
        stream.abort()


def _words(error: Any) -> str:
    """What libvirt says, on one line and without its function names."""
    return " ".join((error.get_error_message() or str(error)).split())


__all__ = ["Hypervisor", "SlipwayError", "library"]
