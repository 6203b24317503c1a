# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role `engine` says of distributions that no test host runs: complete, of one shape, and rendered as they expect it."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from conftest import INSTALLED
from jinja2 import StrictUndefined
from jinja2.nativetypes import NativeEnvironment

ROLE = INSTALLED / "roles" / "engine"
FAMILIES = sorted(path.stem for path in (ROLE / "vars").glob("[A-Z]*.yml"))
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
TASKS = sorted((ROLE / "tasks").rglob("*.yml"))


def data(family: str, release: str = "") -> dict:
    """The variables of a family, rendered for a release of it."""
    env = NativeEnvironment(undefined=StrictUndefined)
    facts = {"distribution_release": release}

    def render(value):
        if isinstance(value, str):
            return env.from_string(value).render(ansible_facts=facts) if "{{" in value else value
        if isinstance(value, dict):
            return {key: render(entry) for key, entry in value.items()}
        return [render(entry) for entry in value] if isinstance(value, list) else value

    return render(yaml.safe_load((ROLE / "vars" / f"{family}.yml").read_text()))


def rendered(family: str, release: str = "") -> str:
    """The file that names Docker's repository there."""
    known = data(family, release)
    template = (ROLE / "templates" / known["__engine_repository"]["template"]).read_text()
    env = NativeEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    return env.from_string(template).render(
        ansible_managed="Ansible managed",
        ansible_facts={"distribution_release": release},
        engine_repository_url=DEFAULTS["engine_repository_url"],
        **known,
    )


def test_the_families_are_those_of_the_readme():
    assert FAMILIES == ["Alpine", "Archlinux", "Debian", "Fedora", "RedHat", "Suse", "Ubuntu"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_the_same_things(family):
    # What is installed is asked of apt by a program of its own, of the others by their own command.
    asks = set() if family in ("Debian", "Ubuntu") else {"__engine_package_query"}
    assert set(data(family)) == set(data("Debian")) | asks
    assert (
        data(family)["__engine_packages"].keys() == data(family)["__engine_rivals"].keys() == {"distribution", "docker"}
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_takes_its_own_engine_for_a_rival(family):
    known = data(family)
    for source, packages in known["__engine_packages"].items():
        assert not set(packages) & set(known["__engine_rivals"][source])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_an_engine_from_somewhere(family):
    assert any(data(family)["__engine_packages"].values())


@pytest.mark.parametrize("family", FAMILIES)
def test_what_docker_packages_has_a_repository_with_a_pinned_key(family):
    known = data(family)
    repository = known["__engine_repository"]
    assert bool(repository) == bool(known["__engine_packages"]["docker"])
    if repository:
        assert re.fullmatch("[0-9A-F]{40}", repository["fingerprint"])
        assert repository["key"].startswith("/etc/")


@pytest.mark.parametrize(
    ("release", "packages"),
    [("bookworm", ["docker.io"]), ("trixie", ["docker.io", "docker-cli"]), ("sid", ["docker.io", "docker-cli"])],
)
def test_debian_splits_the_client_off_from_13_on(release, packages):
    assert data("Debian", release)["__engine_packages"]["distribution"] == packages


@pytest.mark.parametrize(("family", "release"), [("Debian", "trixie"), ("Ubuntu", "noble")])
def test_apt_trusts_the_key_for_this_repository_only(family, release):
    assert rendered(family, release) == (
        "# Ansible managed\n"
        "Types: deb\n"
        f"URIs: https://download.docker.com/linux/{family.lower()}\n"
        f"Suites: {release}\n"
        "Components: stable\n"
        "Signed-By: /etc/apt/keyrings/docker.asc\n"
    )


@pytest.mark.parametrize(("family", "folder"), [("RedHat", "rhel"), ("Fedora", "fedora")])
def test_dnf_checks_every_package_with_the_key(family, folder):
    assert rendered(family) == (
        "# Ansible managed\n"
        "[docker]\n"
        "name=Docker\n"
        f"baseurl=https://download.docker.com/linux/{folder}/$releasever/$basearch/stable\n"
        "enabled=1\n"
        "gpgcheck=1\n"
        "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-docker\n"
    )


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_differences_between_distributions_are_not_in_tasks(path):
    assert "os_family ==" not in path.read_text()
    assert "distribution ==" not in path.read_text()


@pytest.mark.parametrize("path", sorted((ROLE / "files").glob("*.sh")), ids=lambda path: path.stem)
def test_the_scripts_are_plain_shell(path):
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=10)
