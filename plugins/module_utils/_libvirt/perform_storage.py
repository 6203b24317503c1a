# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pools, volumes and images: what machines stand on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from .._converge.action import Action
from .._converge.errors import EngineError
from .._converge.lock import locked
from . import image, names, sources, uris, xml
from .hypervisor import Hypervisor
from .perform_part import Part

PART = ".part"
PATIENCE = 1800.0  # seconds for another run to have fetched its images


class Storage(Part):
    """Carries out what is done to files."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        super().__init__(hypervisor)
        self.paths: dict[str, str] = {}  # disk -> the path it was given when it was made
        self.proven: set[str] = set()  # images that this run has hashed: read again at once they would come from memory

    # -- pools -------------------------------------------------------------------------------------------------

    def create_pool(self, action: Action) -> None:
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

    def remove_pool(self, action: Action) -> None:
        pool = self.hypervisor.read(self.hypervisor.connection.storagePoolLookupByName, action.resource[1])
        if pool.isActive():
            self.change("stop the pool", pool.destroy)
        with suppress(EngineError):  # a directory that was there before, with something in it, stays
            self.change("remove the directory", pool.delete, 0)
        self.change("undefine the pool", pool.undefine)

    # -- images ------------------------------------------------------------------------------------------------

    def fetch(self, action: Action) -> None:
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
        local = uris.is_here(self.hypervisor.uri) and os.path.isdir(directory) and os.access(directory, os.W_OK)
        target = path + PART if local else path
        self.drop(target)
        pool = self.hypervisor.pool_of(path)
        # Without rights libvirt writes only to what it may write to, so there the file is closed when it is whole.
        ours = uris.is_session(self.hypervisor.uri)
        description = xml.volume_xml(os.path.basename(target), length, "raw", mode="0600" if ours else "0444")
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
            self.drop(target)
            raise
        if local:
            if ours:
                os.chmod(target, 0o444)
            os.rename(target, path)
            self.proven.add(path)
        self.hypervisor.refresh(pool)

    def verify(self, path: str, digest: str) -> None:
        """Read a base image once more before something is built on it, once in a run."""
        if path in self.proven:
            return
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
        self.proven.add(path)

    # -- volumes -----------------------------------------------------------------------------------------------

    def create_disk(self, action: Action) -> None:
        body = action.payload["body"]
        self.paths[action.target] = body["Path"]
        self.create_volume(body["Path"], body["Capacity"], body["Format"])

    def make_root(self, action: Action) -> None:
        payload = action.payload
        self.verify(payload["backing"], payload["digest"])
        backing = self.hypervisor.volume(payload["backing"])
        least = xml.volume_document(self.hypervisor.read(backing.XMLDesc))["Capacity"]
        if payload["capacity"] and payload["capacity"] < least:
            raise EngineError(f"size: {image.too_small(payload['capacity'], least)}", 400)
        self.create_volume(
            payload["Path"],
            payload["capacity"] or least,
            payload["Format"],
            {"Path": payload["backing"], "Format": payload["backing_format"]},
        )

    def create_volume(self, path: str, capacity: int, form: str, backing: Mapping[str, str] | None = None) -> Any:
        pool = self.hypervisor.pool_of(path)
        return self.change(
            "make the volume", pool.createXML, xml.volume_xml(os.path.basename(path), capacity, form, backing), 0
        )

    def grow(self, action: Action) -> None:
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
        domain = self.hypervisor.find_domain(name) if name else None
        return domain if domain is not None and domain.isActive() else None

    def remove_volume(self, action: Action) -> None:
        """What is gone already is gone. An image is called by its digest, a disk that this run has made by its name."""
        path = action.payload.get("path") or self.paths.get(action.target, action.target)
        if not os.path.isabs(path):
            held = (item for item in self.hypervisor.volumes() if names.digest_of(item).startswith(path))
            path = next(held, "")
        if path:
            self.drop(path)

    def drop(self, path: str) -> None:
        volume = self.hypervisor.volume(path)
        if volume is not None:
            self.change("remove the volume", volume.delete)


def _hashing(stream: Any, digest: Any) -> Iterator[bytes]:
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
        yield chunk
