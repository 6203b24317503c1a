# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said in two places is the same in both."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "playbooks"
# What the playbooks make by themselves, or what only the quickstart has.
INNER = {  # what the playbooks tell one another
    "plan_id",
    "slipway_approved",
    "slipway_approved_file",
    "slipway_client",
    "slipway_copied",
    "slipway_differing",
    "slipway_engine_answers",
    "slipway_engine_plan",
    "slipway_engine_plan_id",
    "slipway_error",
    "slipway_file",
    "slipway_moved",
    "slipway_plan",
    "slipway_plan_id",
    "slipway_reached",
    "slipway_result",
    "slipway_sources",
    "slipway_state",
    "slipway_unplanned",
    "slipway_waits_for",
}
UNCONNECTED = {"context", "daemon_config", "engine_tls"}  # modules that converge what is on the host where they run
HEAD = (
    "# Copyright: Contributors to the Slipway project\n# GNU General Public License v3.0+ "
    "(see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
)
SOURCES = [path for folder in ("plugins", "tests", "playbooks") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_module_is_in_the_action_group_of_its_connection() -> None:
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    by_fragment: dict[str, list[str]] = {"docker": [], "machines": []}
    for path in sorted((ROOT / "plugins" / "modules").glob("[!_]*.py")):
        found = [
            group
            for group, fragment in (("docker", "docker"), ("machines", "libvirt"))
            if f"\n  - slipway.docker.{fragment}\n" in path.read_text()
        ]
        assert len(found) == (path.stem not in UNCONNECTED), path.stem
        for group in found:
            by_fragment[group].append(path.stem)
    assert groups == by_fragment


def test_every_variable_of_the_playbooks_is_documented() -> None:
    used = {
        name
        for path in PLAYBOOKS.rglob("*.yml")
        for name in re.findall(r"\b(?:slipway|plan|drift)_[a-z_]+\b", path.read_text())
    }
    used -= INNER | {path.stem for path in PLAYBOOKS.rglob("*.yml")}
    documented = set(re.findall(r"`((?:slipway|plan|drift)_[a-z_]+)`", (ROOT / "docs" / "topologies.md").read_text()))
    assert documented == used


def test_every_source_says_whose_it_is() -> None:
    for path in SOURCES:
        text = path.read_text()
        if text:
            assert re.sub(r"^#!.*\n", "", text).startswith(HEAD), path
            assert "from __future__ import annotations" in text or path.name == "__init__.py", path


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_yaml_example_in_the_documents_is_yaml() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            assert yaml.safe_load(block), page.name


def test_nobody_is_trusted_unseen() -> None:
    trusting = re.compile(
        r"StrictHostKeyChecking[=\s'\",:]*(?:no\b|off\b|accept-new)|host_key_checking[=\s'\",:]*(?:no|false)\b",
        re.IGNORECASE,
    )
    for folder in ("plugins", "roles", "playbooks", "docs", "molecule"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".pyc",):
                found = trusting.search(path.read_text(errors="replace"))
                assert not found, f"{path.relative_to(ROOT)} trusts whoever answers: {found[0]}"
