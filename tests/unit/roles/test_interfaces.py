# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The interface of each role is said once in each place: its argument specification, its defaults, its README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())


def options_of(name: str) -> dict:
    return yaml.safe_load((ROLES / name / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"][
        "options"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_are_those_of_the_interface(name: str) -> None:
    options, defaults = options_of(name), yaml.safe_load((ROLES / name / "defaults" / "main.yml").read_text())
    assert list(options) == list(defaults)
    for option, entry in options.items():
        assert entry.get("default", defaults[option]) == defaults[option], option


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_described_and_of_a_type(name: str) -> None:
    for option, entry in options_of(name).items():
        assert option.startswith(f"{name}_")
        assert entry["description"]
        assert entry["type"]


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_lists_every_option_and_beside_them_only_facts(name: str) -> None:
    listed = set(re.findall(rf"`({name}_[a-z_]+)`", (ROLES / name / "README.md").read_text()))
    tasks = "".join(path.read_text() for path in (ROLES / name / "tasks").rglob("*.yml"))
    facts = {
        fact for block in re.findall(r"set_fact:\n((?: {4,}.*\n)+)", tasks) for fact in re.findall(r"(\w+):", block)
    }
    assert set(options_of(name)) <= listed <= set(options_of(name)) | facts


@pytest.mark.parametrize("path", sorted(ROLES.glob("*/tasks/**/*.yml")), ids=lambda path: str(path.relative_to(ROLES)))
def test_inner_names_begin_with_two_underscores(path: Path) -> None:
    role = path.relative_to(ROLES).parts[0]
    for name in re.findall(r"^ *register: (\S+)", path.read_text(), re.MULTILINE):
        assert name.startswith(f"__{role}_") or name == f"{role}_result", name
