# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plugins of the controller are documented as ansible-doc shows them, and their examples use what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.slipway.docker.plugins.inventory import machines

PLUGINS = Path(machines.__file__).parents[1]
NAMES = [
    (kind, path.stem) for kind in ("inventory", "connection") for path in sorted((PLUGINS / kind).glob("[!_]*.py"))
]


def document(kind: str, name: str) -> dict[str, Any]:
    """What ansible-doc shows of a plugin; it says so on its error output when it could not make sense of something."""
    command = [str(Path(sys.executable).parent / "ansible-doc"), "--type", kind, "--json", f"slipway.docker.{name}"]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(PLUGINS.parents[3])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert not done.stderr
    return json.loads(done.stdout)[f"slipway.docker.{name}"]


@pytest.fixture(scope="module")
def documents() -> dict[tuple[str, str], dict[str, Any]]:
    return {plugin: document(*plugin) for plugin in NAMES}


@pytest.mark.parametrize("plugin", NAMES, ids="/".join)
def test_a_plugin_is_documented(plugin: tuple[str, str], documents: dict) -> None:
    shown = documents[plugin]["doc"]
    assert shown["short_description"] and shown["version_added"] and shown["requirements"] and shown["notes"]
    assert all(option["description"] for option in shown["options"].values())


@pytest.mark.parametrize("plugin", NAMES, ids="/".join)
def test_options_that_the_code_reads_are_documented_and_the_other_way_round(
    plugin: tuple[str, str], documents: dict
) -> None:
    """Less those of Ansible's own fragments, which Ansible reads."""
    kind, name = plugin
    text = (PLUGINS / kind / f"{name}.py").read_text()
    read = set(re.findall(r'get_option\("(\w+)"\)', text))
    own = set(yaml.safe_load(re.search(r'DOCUMENTATION = r"""(.*?)"""', text, re.DOTALL).group(1))["options"])
    assert read <= set(documents[plugin]["doc"]["options"])
    assert own - {"plugin"} <= set(re.findall(r'"(\w+)"', text))


@pytest.mark.parametrize("plugin", NAMES, ids="/".join)
def test_examples_are_yaml_and_use_options_that_exist(plugin: tuple[str, str], documents: dict) -> None:
    options = documents[plugin]["doc"]["options"]
    variables = {entry["name"] for option in options.values() for entry in option.get("vars") or ()}
    for example in yaml.safe_load_all(documents[plugin]["examples"]):
        if plugin[0] == "inventory":
            assert example["plugin"] == f"slipway.docker.{plugin[1]}" and set(example) <= set(options)
        else:
            used = {name for play in example for name in play["vars"]}
            assert used - {"ansible_connection"} <= variables
