# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hypervisor in memory, as the provider sees one: documents that have been through libvirt's XML and back."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.action import Action
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import names, xml

POOL = "/pool"
HOST_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()
RUNS, IS_OFF = 1, 5  # virDomainState
EMULATED = "this host has no KVM, so machines are emulated, which is some ten times slower"
CAPABILITIES = """\
<capabilities><host><uuid>4c4c4544-0000-5000-8000-000000000001</uuid><cpu><arch>x86_64</arch></cpu></host>
<guest><os_type>hvm</os_type><arch name='x86_64'><wordsize>64</wordsize>{}</arch></guest></capabilities>
"""


class FakeHypervisor:
    """Answers what is asked of it, and can be made to have what a plan would make."""

    def __init__(self, uri: str = "qemu:///system", kvm: bool = False) -> None:
        self.uri, self.host = uri, "4c4c4544-0000-5000-8000-000000000001"
        kinds = ("qemu", "kvm") if kvm else ("qemu",)
        self.capabilities = CAPABILITIES.format("".join(f"<domain type='{kind}'/>" for kind in kinds))
        self.facts = {
            "arch": "x86_64",
            "machine_type": "q35",
            "free_pages": True,
            "folder_way": "9p" if uri.endswith("/session") else "virtiofs",
            "accelerator": kinds[-1],
            "accelerator_reason": "this host has KVM" if kvm else EMULATED,
        }
        self.asked: list[str] = []
        self.found: dict[str, dict[str, dict]] = {"machine": {}, "network": {}, "volume": {}}
        self.directories: dict[str, str] = {}
        self.leases: list[str] = []
        self.consoles: dict[str, bytes] = {}
        self.in_use: dict[
            str, str
        ] = {}  # ports of the host that cannot be had, by the port inside, and folders; and why
        self.deaf_to: set[str] = set()  # words of steps that it says it has done, and has not

    def close(self) -> None:
        """Nothing to end."""

    def machines(self) -> list[dict[str, Any]]:
        self.asked.append("machines")
        return list(self.found["machine"].values())

    def networks(self) -> list[dict[str, Any]]:
        return list(self.found["network"].values())

    def pools(self) -> dict[str, str]:
        return dict(self.directories)

    def volumes(self) -> dict[str, dict[str, Any]]:
        return dict(self.found["volume"])

    def digest(self, _source: str) -> str:
        return ""

    def capacity_of(self, _source: str, _form: str) -> int:
        return 0

    def domain(self, name: str) -> str:
        return name

    def addresses(self, _domain: str) -> list[str]:
        return self.leases

    version = "9.0.0"

    def refusal(self, binding: tuple[str, str, str]) -> str:
        return self.in_use.get(binding[0], "")

    def refusal_of_folder(self, source: str, _read_only: bool) -> str:
        return self.in_use.get(source, "")

    def snapshots(self, _name: str) -> list[str]:
        return []

    def volume(self, path: str) -> str | None:
        return path if path in self.consoles else None

    def download(self, volume: str, limit: int) -> list[bytes]:
        return [self.consoles[volume][-limit:]]

    def make(self, actions: Iterable[Action]) -> None:
        """Have what these actions of a plan make, as if it had been made a while ago: seeds are gone, machines run."""
        for action in actions:
            self._make(action.verb, action)

    def perform(self, action: Action) -> None:
        """Do what an action says, unless deaf to it."""
        if action.step not in self.deaf_to:
            self._make(action.verb, action)

    def _make(self, verb: str, action: Action) -> None:
        body, payload = action.payload.get("body") or {}, action.payload
        if verb == "create" and action.kind == "pool":
            self.directories[action.target] = body["path"] if "path" in body else body["Path"]
        elif verb == "create" and action.kind == "network":
            whole = {"Bridge": "virbr1", "Domain": "", "Address": "", "Dhcp": {}, "Hosts": {}, **body}
            document = xml.network_document(xml.network_xml(whole))
            self.found["network"][action.target] = {**document, "Active": True, "Autostart": True}
        elif verb == "remove" and action.kind in ("machine", "network"):
            del self.found[action.kind][action.resource[1]]
        elif verb == "remove":
            for path in [path for path in self.found["volume"] if action.target in path]:
                del self.found["volume"][path]
        elif verb == "remove_volume":
            self.found["volume"].pop(payload["path"], None)
        elif verb == "release":
            self.found["network"].get(payload["network"], {"Hosts": {}})["Hosts"].pop(payload["mac"], None)
        elif verb == "create" and action.kind == "disk":
            self.add_volume(body["Path"], body["Capacity"], body["Format"])
        elif verb == "create":
            labels = {**body["Labels"], names.HOST_KEY: HOST_KEY}
            document = xml.document(xml.render({**body, "Labels": labels, "Seed": ""}))
            live = dict(document)
            self.found["machine"][action.target] = {
                **document, "State": IS_OFF, "Reason": 1, "Autostart": bool(body.get("Autostart")), "Live": live,
            }  # fmt: skip
        elif verb == "start":
            self.found["machine"][action.resource[1]].update(State=RUNS, Reason=1)
        elif verb == "fetch":
            self.add_volume(payload["path"], 1 << 30, payload["format"])
        elif verb == "make_root":
            self.add_volume(payload["Path"], payload["capacity"] or 1 << 30, payload["Format"], payload["backing"])
        elif verb == "reserve":
            hosts = self.found["network"][payload["network"]]["Hosts"]
            hosts[payload["mac"]] = {"Ip": payload["address"], "Name": payload["name"]}

    def add_volume(self, path: str, capacity: int = 1 << 30, form: str = "qcow2", backing: str = "") -> None:
        self.found["volume"][path] = {
            "Name": path.rpartition("/")[2], "Path": path, "Format": form, "Capacity": capacity, "Allocation": 4096, "Backing": backing,
        }  # fmt: skip

    def change(self, place: str, values: Mapping[str, Any]) -> None:
        """Change by hand what there is: `machine/web` and what is another then."""
        kind, _slash, name = place.partition("/")
        self.found[kind][name].update(values)
