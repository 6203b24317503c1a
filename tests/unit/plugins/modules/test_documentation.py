# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of every module says what its argument_spec does, and its examples use what there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.slipway.docker.plugins.module_utils import _info, _machine_info
from ansible_collections.slipway.docker.plugins.module_utils._client import context
from ansible_collections.slipway.docker.plugins.module_utils._client import session as client
from ansible_collections.slipway.docker.plugins.module_utils._converge import task
from ansible_collections.slipway.docker.plugins.module_utils._converge.option import argument_spec
from ansible_collections.slipway.docker.plugins.module_utils._daemon import spec as daemon_spec
from ansible_collections.slipway.docker.plugins.module_utils._daemon import tls_spec
from ansible_collections.slipway.docker.plugins.module_utils._docker import (
    connection,
    container,
    image,
    network,
    prune,
    spec,
    volume,
)
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import image as machine_image
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import machine, session
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import network as machine_network
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import spec as machine_spec
from ansible_collections.slipway.docker.plugins.modules import container as container_module
from ansible_collections.slipway.docker.plugins.modules import context as context_module
from ansible_collections.slipway.docker.plugins.modules import machine as machine_module
from ansible_collections.slipway.docker.plugins.modules import machine_image as machine_image_module
from ansible_collections.slipway.docker.plugins.modules import machine_network as machine_network_module
from ansible_collections.slipway.docker.plugins.modules import network as network_module
from ansible_collections.slipway.docker.plugins.modules import volume as volume_module

OPTIONS = {
    "containers": spec.TASK,
    "container": (*container.OPTIONS, *container_module.OPTIONS),
    "network": (*network.OPTIONS, *network_module.OPTIONS),
    "volume": (*volume.OPTIONS, *volume_module.OPTIONS),
    "image": (*image.OPTIONS, *task.GUARD),
    "prune": prune.OPTIONS,
    "container_info": _info.CONTAINERS,
    "network_info": _info.NETWORKS,
    "volume_info": _info.VOLUMES,
    "image_info": _info.IMAGES,
    "engine_info": _info.ENGINE,
}
MACHINE_OPTIONS = {
    "machine_info": _machine_info.MACHINES,
    "machines": machine_spec.TASK,
    "machine": (*machine_spec.options_of(machine.KIND), *machine_module.OPTIONS),
    "machine_network": (*machine_spec.options_of(machine_network.KIND), *machine_network_module.OPTIONS),
    "machine_image": (*machine_spec.options_of(machine_image.KIND), *machine_image_module.OPTIONS),
}
SPECS = {
    **{name: argument_spec((*options, *connection.OPTIONS)) for name, options in OPTIONS.items()},
    **{name: argument_spec((*options, *session.CONNECTION)) for name, options in MACHINE_OPTIONS.items()},
    "daemon_config": argument_spec(daemon_spec.OPTIONS),
    "engine_tls": argument_spec(tls_spec.OPTIONS),
    "context": argument_spec((*context.OPTIONS, *context_module.OPTIONS, *client.CONNECTION)),
}
PLUGINS = Path(spec.__file__).parents[2]
ROOT = PLUGINS.parents[3]


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    """What ansible-doc shows of all modules."""
    command = [
        str(Path(sys.executable).parent / "ansible-doc"),
        "--type",
        "module",
        "--json",
        *(f"slipway.docker.{name}" for name in SPECS),
    ]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return {name.rpartition(".")[2]: document for name, document in json.loads(done.stdout).items()}


def test_every_module_is_here() -> None:
    assert {path.stem for path in (PLUGINS / "modules").glob("*.py")} - {"__init__"} == set(SPECS)


def plain(entry: dict[str, Any]) -> dict[str, Any]:
    """An option of the documentation as an argument_spec has it."""
    kept = {key: entry[key] for key in ("type", "elements", "required") if entry.get(key)}
    if entry.get("default") is not None:
        kept["default"] = entry["default"]
    for key in ("choices", "aliases"):
        if entry.get(key):
            kept[key] = sorted(entry[key])
    if entry.get("suboptions"):
        kept["options"] = {name: plain(sub) for name, sub in entry["suboptions"].items()}
    return kept


def expected(entry: dict[str, Any]) -> dict[str, Any]:
    """An option of an argument_spec, less what documentation does not show."""
    kept = {key: entry[key] for key in ("type", "elements", "default", "required") if key in entry}
    for key in ("choices", "aliases"):
        if key in entry:
            kept[key] = sorted(entry[key])
    if "options" in entry:
        kept["options"] = {name: expected(sub) for name, sub in entry["options"].items()}
    return kept


@pytest.mark.parametrize("name", sorted(SPECS))
def test_documentation_is_the_argument_spec(name: str, documents: dict[str, Any]) -> None:
    documented = {option: plain(entry) for option, entry in documents[name]["doc"]["options"].items()}
    assert documented == {option: expected(entry) for option, entry in SPECS[name].items()}


@pytest.mark.parametrize("name", sorted(SPECS))
def test_examples_use_options_that_exist(name: str, documents: dict[str, Any]) -> None:
    tasks = yaml.safe_load(documents[name]["examples"])
    used = [task[f"slipway.docker.{name}"] or {} for task in tasks if f"slipway.docker.{name}" in task]
    assert used, "an example of the module itself"
    for options in used:
        assert set(options) <= set(SPECS[name])


@pytest.mark.parametrize("name", sorted(SPECS))
def test_results_and_promises_are_documented(name: str, documents: dict[str, Any]) -> None:
    document = documents[name]
    assert document["return"]
    assert document["doc"]["attributes"]["check_mode"]["support"] == "full"
    assert document["doc"]["version_added"]
