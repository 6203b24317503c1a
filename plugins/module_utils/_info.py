# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every read-only main() does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._converge.desired import read_options
from ._converge.option import Option, dig
from ._converge.ownership import PROJECT
from ._docker import connection, describe
from ._docker.engine import Engine, path
from ._docker.session import address
from ._docker.snapshot import parallel
from ._module import SlipwayModule, run

NAME = Option("name", "str")
OF_PROJECT = Option("project", "str")

CONTAINERS = (NAME, OF_PROJECT)
NETWORKS = (NAME, OF_PROJECT)
VOLUMES = (NAME, OF_PROJECT)
IMAGES = (NAME,)
ENGINE: tuple[Option, ...] = ()

Listing = Callable[[Engine, Mapping[str, Any]], Sequence[str]]


def containers() -> None:
    """The main() of container_info."""
    _read(
        "container",
        CONTAINERS,
        lambda engine, query: [item["Id"] for item in engine.get("/containers/json", all=1, **query)],
    )


def networks() -> None:
    """The main() of network_info."""
    _read("network", NETWORKS, lambda engine, query: [item["Id"] for item in engine.get("/networks", **query)])


def volumes() -> None:
    """The main() of volume_info."""
    _read(
        "volume",
        VOLUMES,
        lambda engine, query: [item["Name"] for item in engine.get("/volumes", **query).get("Volumes") or ()],
    )


def images() -> None:
    """The main() of image_info."""
    _read("image", IMAGES, lambda engine, query: [item["Id"] for item in engine.get("/images/json", **query)])


def _read(kind: str, options: Sequence[Option], listing: Listing) -> None:
    plural = kind + "s"

    def work(module: SlipwayModule) -> None:
        params = read_options((*options, *connection.OPTIONS), module.given())
        with Engine(address(module.given())) as engine:

            def inspect(name: str) -> Any:
                parts = (plural, name) if kind in ("network", "volume") else (plural, name, "json")
                return engine.find(path(*parts))

            if params.get("name"):
                found = inspect(params["name"])
                known = [_shown(found)] if found is not None else []
                module.leave(
                    changed=False, exists=found is not None, **{kind: known[0] if known else None, plural: known}
                )
            query = {"filters": {"label": [f"{PROJECT}={params['project']}"]}} if params.get("project") else {}
            names = listing(engine, query)
            found = parallel([lambda name=name: inspect(name) for name in names]) if names else []
            module.leave(changed=False, **{plural: [_shown(item) for item in found if item is not None]})

    run((*options, *connection.OPTIONS), work)


def _shown(raw: Mapping[str, Any]) -> dict[str, Any]:
    return describe.without_secrets(raw)


def engine() -> None:
    """The main() of engine_info."""

    def work(module: SlipwayModule) -> None:
        with Engine(address(module.given())) as connected:
            module.leave(changed=False, engine=_facts(connected, connected.get("/info")))

    run((*ENGINE, *connection.OPTIONS), work)


def _facts(connected: Engine, info: Mapping[str, Any]) -> dict[str, Any]:
    about = connected.about
    return {
        "address": connected.address.url,
        "version": about.get("Version"),
        "api_version": ".".join(map(str, connected.version)),
        "min_api_version": about.get("MinAPIVersion"),
        "max_api_version": about.get("ApiVersion"),
        "name": info.get("Name"),
        "id": info.get("ID"),
        "os": info.get("OperatingSystem"),
        "kernel": info.get("KernelVersion"),
        "architecture": info.get("Architecture"),
        "cpus": info.get("NCPU"),
        "memory": info.get("MemTotal"),
        "root_dir": info.get("DockerRootDir"),
        "storage_driver": info.get("Driver"),
        "logging_driver": info.get("LoggingDriver"),
        "cgroup_driver": info.get("CgroupDriver"),
        "cgroup_version": info.get("CgroupVersion"),
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "swarm": dig(info, "Swarm.LocalNodeState") or "inactive",
        "security_options": info.get("SecurityOptions") or [],
        "containers": {"total": info.get("Containers"), "running": info.get("ContainersRunning")},
        "images": info.get("Images"),
        "warnings": info.get("Warnings") or [],
    }
