# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines: how they are defined, how they start and end."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .._converge.action import Action
from .._converge.errors import EngineError
from . import drivers, host_key, iso, names, seed, xml
from .hypervisor import Hypervisor
from .metadata import labels_xml
from .perform_part import Part
from .perform_storage import Storage


class Machines(Part):
    """Carries out what is done to machines as a whole."""

    def __init__(self, hypervisor: Hypervisor, storage: Storage) -> None:
        super().__init__(hypervisor)
        self.storage = storage
        self.keys: dict[str, str] = {}  # machine -> the public half of the host key on its new seed
        self.lock = threading.Lock()

    # -- definitions -------------------------------------------------------------------------------------------

    def write_seed(self, action: Action) -> None:
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
        self.storage.drop(payload["path"])
        volume = self.storage.create_volume(payload["path"], len(content), "raw")
        self.hypervisor.upload(volume, iter([content]), len(content))
        with self.lock:
            self.keys[name] = public

    def _with_key(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        return {**labels, **({names.HOST_KEY: self.keys[name]} if name in self.keys else {})}

    def create(self, action: Action) -> None:
        body = action.payload["body"]
        self._verify_boot(body["Boot"])
        document = {**body, "Labels": self._with_key(action.resource[1], body["Labels"])}
        self._define_and_look(
            xml.render(document),
            {key: document[key] for key in ("Name", "UUID", "Memory", "Cpus", "Root", "Disks", "Folders")},
        )
        if body.get("Autostart"):
            self.change("autostart", self.hypervisor.domain(body["UUID"]).setAutostart, True)

    def autostart(self, action: Action) -> None:
        self.change("autostart", self.domain(action).setAutostart, action.payload["on"])

    def define(self, action: Action) -> None:
        changes = dict(action.payload["changes"])
        self._verify_boot(changes.get("Boot") or {})
        if "Labels" in changes:
            changes["Labels"] = self._with_key(action.resource[1], changes["Labels"])
        text = self.hypervisor.definition(self.domain(action))
        self._define_and_look(xml.patch(text, changes), changes)

    def _define_and_look(self, text: str, wanted: Mapping[str, Any]) -> None:
        """Define, read back, and fail when libvirt has left something out without a word."""
        domain = self.change(
            "define", self.hypervisor.connection.defineXMLFlags, text, self.libvirt.VIR_DOMAIN_DEFINE_VALIDATE
        )
        found = xml.document(self.hypervisor.definition(domain))
        for key, value in wanted.items():
            same = names.same_board(value, found[key]) if key == "MachineType" else found[key] == value
            if not same:
                raise EngineError(
                    f"libvirt was told {key} {value!r} and has {found[key]!r}; this hypervisor cannot do that", 500
                )

    def _verify_boot(self, boot: Mapping[str, str]) -> None:
        for key in ("kernel", "initrd"):
            digest = names.digest_of(boot.get(key, ""))
            if digest:
                self.storage.verify(boot[key], digest)

    def label(self, action: Action) -> None:
        domain = self.domain(action)
        labels = self._with_key(action.resource[1], action.payload["labels"])
        self.change(
            "write the metadata",
            domain.setMetadata,
            self.libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            labels_xml(labels),
            "slipway",
            xml.NAMESPACE,
            self.both(domain),
        )

    def remove(self, action: Action) -> None:
        """With all that libvirt keeps beside a definition. One that lives only while it runs is gone when it is off."""
        domain = self.hypervisor.find_domain(action.target)
        if domain is None:
            return
        self.turn_off(domain)
        along = drivers.driver_of(self.hypervisor.uri).undefine
        flags = sum(getattr(self.libvirt, f"VIR_DOMAIN_UNDEFINE_{name}") for name in along)
        if domain.isPersistent():
            self.change("undefine", domain.undefineFlags, flags)

    # -- life --------------------------------------------------------------------------------------------------

    def start(self, action: Action) -> None:
        domain = self.domain(action)
        if not domain.isActive():
            self.change("start", domain.create)

    def stop(self, action: Action) -> None:
        """Ask the guest to shut down; when its time is over, or none is given to it, it is turned off."""
        domain = self.hypervisor.find_domain(action.target)
        if domain is None:
            return
        if action.payload.get("timeout") is None:
            self._ask_to_end(domain, action.payload["grace"])
        self.turn_off(domain)

    def _ask_to_end(self, domain: Any, patience: float) -> None:
        deadline = time.monotonic() + patience
        asked = 0.0
        while domain.isActive() and time.monotonic() < deadline:
            if time.monotonic() - asked > 5:  # a guest that is still booting does not hear the first time
                asked = time.monotonic()
                with suppress(EngineError):  # it ended meanwhile, or cannot be asked: the deadline counts
                    self.change("shut down", domain.shutdown)
            time.sleep(0.1)

    def restart(self, action: Action) -> None:
        domain = self.domain(action)
        self._ask_to_end(domain, action.payload["grace"])
        self.turn_off(domain)
        self.change("start", domain.create)

    def pause(self, action: Action) -> None:
        self.change("pause", self.domain(action).suspend)

    def unpause(self, action: Action) -> None:
        self.change("resume", self.domain(action).resume)

    def wait(self, action: Action) -> None:
        from .watch import Ladder

        Ladder(self.hypervisor, action.resource[1], action.payload).climb()
