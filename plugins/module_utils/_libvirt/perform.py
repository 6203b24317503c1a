# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One action, one call, as far as libvirt has one call for it. Nothing is decided here."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .._converge.action import Action
from .._converge.errors import EngineError, EngineLost
from .._converge.lock import locked
from . import host_key, iso, names, seed, sources, xml
from .hypervisor import MISSING, Hypervisor
from .metadata import labels_xml

GONE = 20.0  # seconds for a guest to let go of a device
PART = ".part"
PATIENCE = 1800.0  # seconds for another run to have fetched its images


class Performer:
    """Carries out actions on one hypervisor; call it with an action."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor
        self.change = hypervisor.change
        self.keys: dict[str, str] = {}  # machine -> the public half of the host key on its new seed
        self.paths: dict[str, str] = {}  # disk -> the path it was given when it was made
        self.lock = threading.Lock()
        self.verbs: Mapping[tuple[str, str], Callable[[Action], Any]] = {
            ("pool", "create"): self._create_pool,
            ("pool", "remove"): self._remove_pool,
            ("image", "fetch"): self._fetch,
            ("image", "remove"): self._remove_volume,
            ("disk", "create"): self._create_disk,
            ("disk", "grow"): self._grow,
            ("disk", "remove"): self._remove_volume,
            ("network", "create"): self._create_network,
            ("network", "remove"): self._remove_network,
            ("network", "start"): lambda a: self.change("start", self._network(a).create),
            ("network", "stop"): lambda a: self.change("stop", self._network(a).destroy),
            ("network", "autostart"): lambda a: self.change(
                "autostart", self._network(a).setAutostart, a.payload["on"]
            ),
            ("machine", "make_root"): self._make_root,
            ("machine", "write_seed"): self._write_seed,
            ("machine", "create"): self._define_new,
            ("machine", "define"): self._define,
            ("machine", "label"): self._label,
            ("machine", "start"): self._start,
            ("machine", "resume"): self._start,
            ("machine", "stop"): self._stop,
            ("machine", "restart"): self._restart,
            ("machine", "pause"): lambda a: self.change("pause", self._domain(a).suspend),
            ("machine", "unpause"): lambda a: self.change("resume", self._domain(a).resume),
            ("machine", "wait"): self._wait,
            ("machine", "eject_seed"): self._eject_seed,
            ("machine", "set_memory"): self._set_memory,
            ("machine", "set_cpus"): self._set_cpus,
            ("machine", "attach_disk"): self._attach_disk,
            ("machine", "detach_disk"): lambda a: self._detach(a, f"disk-{a.payload['name']}"),
            ("machine", "attach_card"): self._attach_card,
            ("machine", "detach_card"): lambda a: self._detach(a, f"net-{a.payload['number']}"),
            ("machine", "autostart"): lambda a: self.change("autostart", self._domain(a).setAutostart, a.payload["on"]),
            ("machine", "grow"): self._grow,
            ("machine", "reserve"): self._reserve,
            ("machine", "release"): self._release,
            ("machine", "remove"): self._undefine,
            ("machine", "remove_volume"): self._remove_volume,
        }

    def ready(self) -> bool:
        """Wait, within bounds, until there is a hypervisor to talk to; False when there is none."""
        return self.hypervisor.answers()

    def tidy(self) -> None:
        """Nothing is left outside the hypervisor."""

    def __call__(self, action: Action) -> Any:
        return self.hypervisor.call(self.verbs[(action.kind, action.verb)], action)

    @property
    def libvirt(self) -> Any:
        """The library."""
        return self.hypervisor.libvirt

    def _domain(self, action: Action) -> Any:
        return self.hypervisor.domain(action.target)

    def _network(self, action: Action) -> Any:
        return self.hypervisor.network(action.resource[1])

    # -- pools, volumes, images --------------------------------------------------------------------------------

    def _create_pool(self, action: Action) -> None:
        """Make what is missing of it: a run that was cut off may have come half the way."""
        connection, name = self.hypervisor.connection, action.resource[1]
        pool = next(
            (item for item in self.hypervisor.read(connection.listAllStoragePools) if item.name() == name), None
        )
        if pool is None:
            text = xml.pool_xml(name, action.payload["body"]["Path"])
            pool = self.change("define the pool", connection.storagePoolDefineXML, text)
        if not pool.isActive():
            self.change("make the directory", pool.build)
            self.change("start the pool", pool.create)
        self.change("autostart the pool", pool.setAutostart, True)

    def _remove_pool(self, action: Action) -> None:
        pool = self.hypervisor.read(self.hypervisor.connection.storagePoolLookupByName, action.resource[1])
        if pool.isActive():
            self.change("stop the pool", pool.destroy)
        with suppress(EngineError):  # a directory that was there before, with something in it, stays
            self.change("remove the directory", pool.delete, 0)
        self.change("undefine the pool", pool.undefine)

    def _fetch(self, action: Action) -> None:
        """Bring an image in, and keep it only when it is what its checksum says.

        It is uploaded under another name and renamed at the end, so that what has the digest's name is whole. Where the
        pool is on another host nothing can be renamed; there a volume that was cut off is found when it is used. Projects
        share images, so one run fetches at a time.
        """
        path = action.payload["path"]
        with locked(self.hypervisor.host, "images", path, patience=PATIENCE) as waited:
            if waited and self.hypervisor.volume(path) is not None:
                return
            with sources.opened(action.payload["source"]) as (stream, length):
                self._bring(stream, length, action.payload)

    def _bring(self, stream: Any, length: int | None, payload: Mapping[str, Any]) -> None:
        path, place = payload["path"], payload["source"]
        if length is None:
            raise EngineError(f"{place} does not say how long it is; copy it to this host and name its path", 400)
        directory = os.path.dirname(path)
        local = os.path.isdir(directory) and os.access(directory, os.W_OK)
        target = path + PART if local else path
        self._drop(target)
        pool = self.hypervisor.pool_of(path)
        description = xml.volume_xml(os.path.basename(target), length, "raw", mode="0444")
        volume = self.change("make the volume", pool.createXML, description, 0)
        digest = hashlib.sha256()
        try:
            self.hypervisor.upload(volume, _hashing(stream, digest), length)
            if digest.hexdigest() != payload["digest"]:
                raise EngineError(
                    f"{place} has the checksum sha256:{digest.hexdigest()}, not the one that was said; get the right file, or correct checksum",
                    400,
                )
        except BaseException:
            self._drop(target)
            raise
        if local:
            os.rename(target, path)
        self.hypervisor.refresh(pool)

    def _drop(self, path: str) -> None:
        volume = self.hypervisor.volume(path)
        if volume is not None:
            self.change("remove the volume", volume.delete)

    def _remove_volume(self, action: Action) -> None:
        """What is gone already is gone. An image is called by its digest, a disk that this run has made by its name."""
        path = action.payload.get("path") or self.paths.get(action.target, action.target)
        if not os.path.isabs(path):
            held = (item for item in self.hypervisor.volumes() if names.digest_of(item).startswith(path))
            path = next(held, "")
        if path:
            self._drop(path)

    def _verify(self, path: str, digest: str) -> None:
        """Read a base image once more before something is built on it."""
        volume = self.hypervisor.volume(path)
        if volume is None:
            raise EngineError(f"the base image {path} is not there; name its source, so that it can be fetched", 400)
        found = hashlib.sha256()
        for chunk in self.hypervisor.download(volume):
            found.update(chunk)
        if found.hexdigest() != digest:
            raise EngineError(
                f"the base image {path} is damaged, its content has the checksum sha256:{found.hexdigest()}; remove it with machine_image, state: absent, and run again",
                400,
            )

    def _verify_boot(self, boot: Mapping[str, str]) -> None:
        for key in ("Kernel", "Initrd"):
            if names.digest_of(boot.get(key, "")):
                self._verify(boot[key], names.digest_of(boot[key]))

    def _make_root(self, action: Action) -> None:
        payload = action.payload
        self._verify(payload["backing"], payload["digest"])
        backing = self.hypervisor.volume(payload["backing"])
        capacity = max(payload["capacity"] or 0, xml.volume_document(self.hypervisor.read(backing.XMLDesc))["Capacity"])
        self._create_volume(
            payload["Path"],
            capacity,
            payload["Format"],
            {"Path": payload["backing"], "Format": payload["backing_format"]},
        )

    def _create_disk(self, action: Action) -> None:
        body = action.payload["body"]
        self.paths[action.target] = body["Path"]
        self._create_volume(body["Path"], body["Capacity"], body["Format"])

    def _create_volume(self, path: str, capacity: int, form: str, backing: Mapping[str, str] | None = None) -> Any:
        pool = self.hypervisor.pool_of(path)
        return self.change(
            "make the volume", pool.createXML, xml.volume_xml(os.path.basename(path), capacity, form, backing), 0
        )

    def _grow(self, action: Action) -> None:
        payload = action.payload
        domain = self._running(payload.get("machine"))
        if domain is not None and payload["path"] in domain.XMLDesc():
            self.change(
                "grow the disk",
                domain.blockResize,
                payload["path"],
                payload["capacity"],
                self.libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES,
            )
            self.hypervisor.refresh(self.hypervisor.pool_of(payload["path"]))
            return
        self.change("grow the disk", self.hypervisor.volume(payload["path"]).resize, payload["capacity"])

    def _running(self, name: str | None) -> Any:
        try:
            domain = self.hypervisor.domain(name) if name else None
        except EngineError as error:
            if error.status != MISSING:
                raise
            return None
        return domain if domain is not None and domain.isActive() else None

    # -- networks ----------------------------------------------------------------------------------------------

    def _create_network(self, action: Action) -> None:
        body = {
            "Bridge": "",
            "Domain": "",
            "Address": "",
            "Dhcp": {},
            "Hosts": {},
            **action.payload["body"],
        }
        network = self.change("define the network", self.hypervisor.connection.networkDefineXML, xml.network_xml(body))
        try:
            self.change("start the network", network.create)
            self.change("autostart the network", network.setAutostart, True)
        except EngineError:
            self._take_down(network)
            raise

    def _remove_network(self, action: Action) -> None:
        try:
            network = self._network(action)
        except EngineError as error:
            if error.status != MISSING:
                raise
            return
        self._take_down(network)

    def _take_down(self, network: Any) -> None:
        if network.isActive():
            self.change("stop the network", network.destroy)
        self.change("undefine the network", network.undefine)

    def _reserve(self, action: Action) -> None:
        """What a run that was cut off has reserved for this card is kept, or replaced."""
        payload = action.payload
        there = self._reservations(action).get(payload["mac"])
        if there and there.get("Ip") == payload["address"] and there.get("Name") == payload["name"]:
            return
        if there:
            old = {**payload, "address": there.get("Ip") or "", "name": there.get("Name") or ""}
            self._update_reservation(replace(action, payload=old), self.libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE)
        self._update_reservation(action, self.libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST)

    def _release(self, action: Action) -> None:
        """A reservation that is gone, or whose network is, needs no release."""
        try:
            self._update_reservation(action, self.libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE)
        except EngineError as error:
            if isinstance(error, EngineLost) or action.payload["mac"] in self._reservations(action):
                raise

    def _reservations(self, action: Action) -> Mapping[str, Any]:
        try:
            network = self.hypervisor.network(action.payload["network"])
            return xml.network_document(self.hypervisor.read(network.XMLDesc, 0))["Hosts"]
        except EngineError as error:
            if error.status != MISSING:
                raise
            return {}

    def _update_reservation(self, action: Action, command: int) -> None:
        payload = action.payload
        network = self.hypervisor.network(payload["network"])
        host = xml.host_xml(payload["mac"], {"Ip": payload["address"], "Name": payload["name"]})
        active = self.hypervisor.read(network.isActive)  # between look-up and this another step may have removed it
        flags = self.libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG | (
            self.libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE if active else 0
        )
        self.change(
            "update the network",
            network.update,
            command,
            self.libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
            -1,
            host,
            flags,
        )

    # -- machines ----------------------------------------------------------------------------------------------

    def _write_seed(self, action: Action) -> None:
        payload, name = action.payload, action.resource[1]
        private, public = host_key.make(name)
        said = payload["seed"]
        instance = f"{name}-{hashlib.sha256(public.encode()).hexdigest()[:16]}"
        content = iso.image(
            seed.files(
                {
                    **said,
                    "hostname": said.get("hostname") or payload["hostname"],
                    "instance_id": instance,
                    "host_key": private,
                    "host_key_public": public,
                }
            )
        )
        self._drop(payload["path"])
        volume = self._create_volume(payload["path"], len(content), "raw")
        self.hypervisor.upload(volume, iter([content]), len(content))
        with self.lock:
            self.keys[name] = public

    def _with_key(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        return {**labels, **({names.HOST_KEY: self.keys[name]} if name in self.keys else {})}

    def _define_new(self, action: Action) -> None:
        body = action.payload["body"]
        self._verify_boot(body["Boot"])
        document = {**body, "Labels": self._with_key(action.resource[1], body["Labels"])}
        self._define_and_look(
            xml.render(document), {key: document[key] for key in ("Name", "UUID", "Memory", "Cpus", "Root", "Disks")}
        )
        if body.get("Autostart"):
            self.change("autostart", self.hypervisor.domain(body["UUID"]).setAutostart, True)

    def _define(self, action: Action) -> None:
        changes = dict(action.payload["changes"])
        self._verify_boot(changes.get("Boot") or {})
        if "Labels" in changes:
            changes["Labels"] = self._with_key(action.resource[1], changes["Labels"])
        flags = self.libvirt.VIR_DOMAIN_XML_INACTIVE | self.libvirt.VIR_DOMAIN_XML_SECURE
        text = self.hypervisor.read(self._domain(action).XMLDesc, flags)
        self._define_and_look(xml.patch(text, changes), changes)

    def _define_and_look(self, text: str, wanted: Mapping[str, Any]) -> None:
        """Define, read back, and fail when libvirt has left something out without a word."""
        domain = self.change(
            "define", self.hypervisor.connection.defineXMLFlags, text, self.libvirt.VIR_DOMAIN_DEFINE_VALIDATE
        )
        flags = self.libvirt.VIR_DOMAIN_XML_INACTIVE | self.libvirt.VIR_DOMAIN_XML_SECURE
        found = xml.document(self.hypervisor.read(domain.XMLDesc, flags))
        for key, value in wanted.items():
            if found[key] != value:
                raise EngineError(
                    f"libvirt was told {key} {value!r} and has {found[key]!r}; this hypervisor cannot do that", 500
                )

    def _label(self, action: Action) -> None:
        domain = self._domain(action)
        labels = self._with_key(action.resource[1], action.payload["labels"])
        flags = self.libvirt.VIR_DOMAIN_AFFECT_CONFIG | (
            self.libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
        )
        self.change(
            "write the metadata",
            domain.setMetadata,
            self.libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            labels_xml(labels),
            "slipway",
            xml.NAMESPACE,
            flags,
        )

    def _start(self, action: Action) -> None:
        domain = self._domain(action)
        if not domain.isActive():
            self.change("start", domain.create)

    def _stop(self, action: Action) -> None:
        """Ask the guest to shut down; when its time is over, it is turned off."""
        try:
            domain = self._domain(action)
        except EngineError as error:
            if error.status != MISSING:
                raise
            return
        patience = action.payload.get("timeout") or action.payload["grace"]
        if domain.isActive() and action.payload.get("timeout") is None:
            self._ask_to_end(domain, patience)
        if domain.isActive():
            self.change("turn off", domain.destroy)

    def _ask_to_end(self, domain: Any, patience: float) -> None:
        deadline = time.monotonic() + patience
        asked = 0.0
        while domain.isActive() and time.monotonic() < deadline:
            if time.monotonic() - asked > 5:  # a guest that is still booting does not hear the first time
                asked = time.monotonic()
                with suppress(EngineError):  # it ended meanwhile, or cannot be asked: the deadline counts
                    self.change("shut down", domain.shutdown)
            time.sleep(0.1)

    def _restart(self, action: Action) -> None:
        domain = self._domain(action)
        self._ask_to_end(domain, action.payload["grace"])
        if domain.isActive():
            self.change("turn off", domain.destroy)
        self.change("start", domain.create)

    def _wait(self, action: Action) -> None:
        from .watch import Ladder

        Ladder(self.hypervisor, action.resource[1], action.payload).climb()

    def _eject_seed(self, action: Action) -> None:
        self._detach(action, "seed")

    def _undefine(self, action: Action) -> None:
        try:
            domain = self._domain(action)
        except EngineError as error:
            if error.status != MISSING:
                raise
            return
        if domain.isActive():
            self.change("turn off", domain.destroy)
        lib = self.libvirt
        flags = (
            lib.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | lib.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | lib.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            | lib.VIR_DOMAIN_UNDEFINE_NVRAM
        )
        if domain.isPersistent():
            self.change("undefine", domain.undefineFlags, flags)

    # -- devices -----------------------------------------------------------------------------------------------

    def _both(self, domain: Any) -> int:
        return self.libvirt.VIR_DOMAIN_AFFECT_CONFIG | (self.libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0)

    def _set_memory(self, action: Action) -> None:
        domain = self._domain(action)
        self.change("set the memory", domain.setMemoryFlags, action.payload["value"] >> 10, self._both(domain))

    def _set_cpus(self, action: Action) -> None:
        """A busy guest takes longer to let go of a processor than the few seconds that libvirt waits for it."""
        domain, wanted = self._domain(action), action.payload["value"]
        try:
            self.change("set the processors", domain.setVcpusFlags, wanted, self._both(domain))
        except EngineError as error:
            if "timed out" not in str(error):
                raise
            deadline = time.monotonic() + GONE
            while self.hypervisor.read(domain.vcpusFlags, self.libvirt.VIR_DOMAIN_AFFECT_LIVE) != wanted:
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"the guest has not let go of its processors after {GONE:g} s; leave cpus as it was, or change it while the machine is stopped",
                        500,
                    ) from None
                time.sleep(0.1)
            self.change("set the processors", domain.setVcpusFlags, wanted, self.libvirt.VIR_DOMAIN_AFFECT_CONFIG)

    def _attach_disk(self, action: Action) -> None:
        domain = self._domain(action)
        text = self.hypervisor.read(domain.XMLDesc, 0)
        said = action.payload["disk"]
        controller = xml.controller_xml(text, said["Bus"])
        if controller:
            self.change("attach the controller", domain.attachDeviceFlags, controller, self._both(domain))
        device = xml.disk_xml(
            action.payload["name"], said, xml.free_target(text, said["Bus"]), xml.document(text)["Type"]
        )
        self.change("attach the disk", domain.attachDeviceFlags, device, self._both(domain))

    def _attach_card(self, action: Action) -> None:
        domain = self._domain(action)
        device = xml.interface_xml(action.payload["number"], action.payload["card"])
        self.change("attach the card", domain.attachDeviceFlags, device, self._both(domain))

    def _detach(self, action: Action, name: str) -> None:
        """Detach a device and wait until the guest has let go of it: that is asynchronous."""
        try:
            domain = self._domain(action)
        except EngineError as error:
            if error.status != MISSING:
                raise
            return
        lib = self.libvirt
        inactive = xml.devices(
            self.hypervisor.read(domain.XMLDesc, lib.VIR_DOMAIN_XML_INACTIVE | lib.VIR_DOMAIN_XML_SECURE)
        ).get(name)
        if inactive:
            self.change("detach the device", domain.detachDeviceFlags, inactive, lib.VIR_DOMAIN_AFFECT_CONFIG)
        deadline, asked = time.monotonic() + GONE, 0.0
        while domain.isActive():
            live = xml.devices(self.hypervisor.read(domain.XMLDesc, 0)).get(name)
            if not live:
                return
            if time.monotonic() > deadline:
                raise EngineError(
                    f"the guest has not let go of {name} after {GONE:g} s; restart the machine to have it gone", 500
                )
            if time.monotonic() - asked > 5:
                asked = time.monotonic()
                self.change("detach the device", domain.detachDeviceFlags, live, lib.VIR_DOMAIN_AFFECT_LIVE)
            time.sleep(0.1)


def _hashing(stream: Any, digest: Any) -> Iterator[bytes]:
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
        yield chunk
