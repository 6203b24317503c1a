# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An engine in memory that speaks as much of the API as a converge uses, and fails on demand.

It is a fake for laws over thousands of runs; the real engine is met in tests/integration.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import EngineError

CONTAINER_FIELDS = ("HostConfig", "NetworkingConfig")
BROKEN = "broken:latest"  # an image whose containers exit at once


@dataclass
class Fault:
    """Fail the mutating call with this number: ``refuse`` before it happens, ``lose`` the answer after it did."""

    number: int
    how: str = "refuse"


@dataclass
class Address:
    """As much of an address as the performer reads."""

    timeout: float = 1.0
    url: str = "fake://"
    scheme: str = "unix"


@dataclass
class FakeEngine:
    """An engine; ``calls`` lists the mutating calls it was asked for."""

    fault: Fault | None = None
    containers: dict[str, dict] = field(default_factory=dict)
    networks: dict[str, dict] = field(default_factory=dict)
    volumes: dict[str, dict] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    version: tuple[int, int] = (1, 41)
    identity: str = "fake"
    address: Address = field(default_factory=Address)

    def __post_init__(self) -> None:
        if not self.images:
            self.images = {
                name: "sha256:" + f"{index:02d}" * 32 for index, name in enumerate(("app:1", "app:2", BROKEN), 1)
            }
        if not self.networks:
            self.networks = {
                "bridge": {"Name": "bridge", "Id": "b" * 64, "Driver": "bridge", "Labels": {}, "IPAM": {"Config": []}}
            }

    # -- reads -------------------------------------------------------------------------------------------------

    def get(self, path: str, **_query: Any) -> Any:
        if path == "/containers/json":
            return [self._summary(item) for item in self.containers.values()]
        if path == "/networks":
            return copy.deepcopy(list(self.networks.values()))
        if path == "/volumes":
            return {"Volumes": copy.deepcopy(list(self.volumes.values()))}
        if path == "/images/json":
            return [{"Id": identity, "RepoTags": [name], "RepoDigests": []} for name, identity in self.images.items()]
        if path == "/info":
            return {"NCPU": 2, "Runtimes": {"runc": {}}, "Plugins": {"Log": ["json-file", "local"]}}
        match = re.fullmatch(r"/containers/([^/]+)/json", path)
        if match:
            return self._inspect(copy.deepcopy(self._container(match[1])))
        match = re.fullmatch(r"/images/(.+)/json", path)
        if match and (match[1] in self.images or match[1] in self.images.values()):
            return {"Id": match[1], "Config": {}}
        raise EngineError(f"no such object: {path}", 404)

    def _inspect(self, item: dict) -> dict:
        """A running container has its ports bound."""
        wanted = item["HostConfig"].get("PortBindings") or {} if item["State"]["Status"] == "running" else {}
        item["NetworkSettings"]["Ports"] = {
            port: [
                {"HostIp": one.get("HostIp") or "0.0.0.0", "HostPort": one.get("HostPort") or "32768"} for one in each
            ]
            for port, each in wanted.items()
        }
        return item

    def find(self, path: str, **query: Any) -> Any:
        try:
            return self.get(path, **query)
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def raw(self, _path: str, **_query: Any) -> bytes:
        return b""

    def progress(self, method: str, path: str, **options: Any) -> Iterator[dict]:
        if method == "GET":
            raise EngineError("no events here")
        self._change(method, path, options.get("query") or {}, None)
        return iter(())

    # -- changes -----------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, *, query: Mapping | None = None, body: Any = None, **_options: Any) -> Any:
        if method == "GET":
            return self.get(path)
        return self._change(method, path, dict(query or {}), copy.deepcopy(body))

    def _change(self, method: str, path: str, query: dict, body: Any) -> Any:
        number = len(self.calls)
        self.calls.append(f"{method} {path}")
        hit = self.fault is not None and self.fault.number == number
        if hit and self.fault.how == "refuse":
            raise EngineError("refused on demand", 500)
        result = self._dispatch(method, path, query, body)
        if hit:
            raise EngineError("answer lost on demand")
        return result

    def _dispatch(self, method: str, path: str, query: dict, body: Any) -> Any:
        routes = (
            ("POST", r"/containers/create", lambda: self._create(query["name"], body)),
            ("POST", r"/containers/([^/]+)/(start|stop|restart|pause|unpause)", self._run),
            ("POST", r"/containers/([^/]+)/rename", lambda name: self._rename(name, query["name"])),
            ("POST", r"/containers/([^/]+)/update", lambda name: self._update(name, body)),
            ("DELETE", r"/containers/([^/]+)", lambda name: self.containers.pop(self._container(name)["Id"])),
            ("POST", r"/networks/create", lambda: self._create_network(body)),
            ("DELETE", r"/networks/([^/]+)", self._remove_network),
            ("POST", r"/networks/([^/]+)/connect", lambda name: self._connect(name, body)),
            ("POST", r"/networks/([^/]+)/disconnect", lambda name: self._disconnect(name, body)),
            (
                "POST",
                r"/volumes/create",
                lambda: self.volumes.__setitem__(body["Name"], {"Options": body.pop("DriverOpts", {}), **body}),
            ),
            ("DELETE", r"/volumes/([^/]+)", lambda name: self.volumes.pop(self._known(self.volumes, name))),
            (
                "POST",
                r"/images/create",
                lambda: self.images.__setitem__(f"{query['fromImage']}:{query['tag']}", self._id("sha256:")),
            ),
        )
        for verb, pattern, action in routes:
            match = re.fullmatch(pattern, path)
            if verb == method and match:
                return action(*match.groups())
        raise EngineError(f"the fake does not know {method} {path}", 501)

    def _id(self, prefix: str = "") -> str:
        return prefix + f"{next(self.numbers):064x}"

    def _known(self, table: Mapping, name: str) -> str:
        if name in table:
            return name
        raise EngineError(f"no such object: {name}", 404)

    def _container(self, name: str) -> dict:
        for item in self.containers.values():
            if name in (item["Id"], item["Name"].lstrip("/")):
                return item
        raise EngineError(f"no such container: {name}", 404)

    def _free(self, name: str) -> None:
        if any(item["Name"] == "/" + name for item in self.containers.values()):
            raise EngineError(f"the name {name} is in use", 409)

    def _create(self, name: str, body: dict) -> dict:
        self._free(name)
        host, networking = body.pop("HostConfig", {}), body.pop("NetworkingConfig", {})
        if body["Image"] not in self.images:
            raise EngineError(f"no such image: {body['Image']}", 404)
        identity = self._id()
        endpoints = networking.get("EndpointsConfig") or {"bridge": {}}
        host.setdefault("NetworkMode", next(iter(endpoints)))
        host["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0, **host.get("RestartPolicy", {})}
        self.containers[identity] = {
            "Id": identity,
            "Name": "/" + name,
            "Image": self.images[body["Image"]],
            "Config": body,
            "HostConfig": host,
            "State": {"Status": "created", "ExitCode": 0},
            "RestartCount": 0,
            "Mounts": [],
            "NetworkSettings": {
                "Networks": {
                    net: {**settings, "Aliases": [*settings.get("Aliases", []), identity[:12]]}
                    for net, settings in endpoints.items()
                }
            },
        }
        return {"Id": identity}

    def _run(self, name: str, verb: str) -> None:
        item = self._container(name)
        if verb in ("start", "restart"):
            for network in item["NetworkSettings"]["Networks"]:
                self._known(self.networks, network)
            broken = item["Image"] == self.images[BROKEN]
            item["State"] = {"Status": "exited", "ExitCode": 1} if broken else {"Status": "running", "ExitCode": 0}
        elif verb == "stop":
            item["State"] = (
                {"Status": "exited", "ExitCode": 0} if item["State"]["Status"] != "created" else item["State"]
            )
        else:
            item["State"]["Status"] = "paused" if verb == "pause" else "running"

    def _rename(self, name: str, other: str) -> None:
        item = self._container(name)
        self._free(other)
        item["Name"] = "/" + other

    def _update(self, name: str, body: dict) -> None:
        host = self._container(name)["HostConfig"]
        host.update({key: value for key, value in body.items() if value != 0 or key == "PidsLimit"})

    def _create_network(self, body: dict) -> dict:
        if body["Name"] in self.networks:
            raise EngineError(f"network {body['Name']} already exists", 409)
        body.pop("CheckDuplicate", None)
        self.networks[body["Name"]] = {
            "Id": self._id(),
            "Driver": "bridge",
            "IPAM": {"Config": []},
            "Internal": False,
            "Labels": {},
            "Options": {},
            **body,
        }
        return {"Id": self.networks[body["Name"]]["Id"]}

    def _network(self, name: str) -> str:
        for key, item in self.networks.items():
            if name in (key, item["Id"]):
                return key
        raise EngineError(f"no such network: {name}", 404)

    def _remove_network(self, name: str) -> None:
        key = self._network(name)
        if any(
            key in item["NetworkSettings"]["Networks"] and item["State"]["Status"] == "running"
            for item in self.containers.values()
        ):
            raise EngineError(f"network {key} has active endpoints", 403)
        del self.networks[key]

    def _connect(self, name: str, body: dict) -> None:
        item = self._container(body["Container"])
        settings = body.get("EndpointConfig") or {}
        item["NetworkSettings"]["Networks"][self._network(name)] = {
            **settings,
            "Aliases": [*settings.get("Aliases", []), item["Id"][:12]],
        }

    def _disconnect(self, name: str, body: dict) -> None:
        networks = self._container(body["Container"])["NetworkSettings"]["Networks"]
        key = self._network(name)
        if key not in networks:
            raise EngineError(f"not connected to {key}", 404)
        del networks[key]

    # -- what laws look at -------------------------------------------------------------------------------------

    def _summary(self, item: Mapping) -> dict:
        binds = [bind.split(":")[0] for bind in item["HostConfig"].get("Binds") or ()]
        mounts = [{"Type": "volume", "Name": source} for source in binds if not source.startswith("/")]
        mounts += [{"Type": "bind", "Source": mount["Source"]} for mount in item["HostConfig"].get("Mounts") or ()]
        return {
            "Id": item["Id"],
            "Names": [item["Name"]],
            "Labels": copy.deepcopy(item["Config"].get("Labels") or {}),
            "State": item["State"]["Status"],
            "Mounts": mounts,
            "Ports": [],
            "NetworkSettings": {"Networks": {name: {} for name in item["NetworkSettings"]["Networks"]}},
        }

    def state(self) -> str:
        """Everything a user would notice, as text: two equal states are equal texts. IDs of remade networks do not count,
        nor whether what does not run has ever run."""
        containers = {
            key: {
                **item,
                "State": item["State"]["Status"].replace("created", "exited"),
                "HostConfig": {name: value for name, value in item["HostConfig"].items() if value},
            }
            for key, item in self.containers.items()
        }
        networks = {
            key: {field: value for field, value in item.items() if field != "Id"} for key, item in self.networks.items()
        }
        return json.dumps([containers, networks, self.volumes], sort_keys=True, indent=1)
