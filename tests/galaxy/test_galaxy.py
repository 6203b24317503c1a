# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The archive builds, carries what users need and nothing else, installs into an empty path, and Galaxy takes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WANTED = ("LICENSE", "README.md", "docs", "meta", "playbooks", "plugins", "roles", "changelogs")


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment to its end."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built anew."""
    folder = tmp_path_factory.mktemp("built")
    done = run(BIN / "ansible-galaxy", "collection", "build", ROOT, "--output-path", folder)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("slipway-docker-*.tar.gz"))


def test_the_archive_holds_what_users_need(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = {Path(name).parts[0] for name in tar.getnames()}
        size = sum(member.size for member in tar)
    assert names == {*WANTED, "MANIFEST.json", "FILES.json"} | (names & {"CHANGELOG.rst", "CONTRIBUTING.md"})
    assert size < 2_000_000


@pytest.fixture(scope="module")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty path into which the collection was installed; where else it may be installed must not matter."""
    path = str(tmp_path_factory.mktemp("installed"))
    command = [BIN / "ansible-galaxy", "collection", "install", archive, "--offline", "-p", path]
    done = run(*command, ANSIBLE_COLLECTIONS_PATH=path)
    assert done.returncode == 0, done.stderr
    return path


def test_it_installs_into_an_empty_path(installed: str) -> None:
    done = run(BIN / "ansible-doc", "--json", "slipway.docker.containers", ANSIBLE_COLLECTIONS_PATH=installed)
    assert "slipway.docker.containers" in json.loads(done.stdout)


def test_every_playbook_parses(installed: str) -> None:
    names = sorted(f"slipway.docker.{path.stem}" for path in (ROOT / "playbooks").glob("*.yml"))
    done = run(BIN / "ansible-playbook", "--syntax-check", *names, ANSIBLE_COLLECTIONS_PATH=installed)
    assert done.returncode == 0, done.stderr
    assert len(names) >= 4


def test_galaxy_takes_it(archive: Path, tmp_path: Path) -> None:
    done = run(
        sys.executable,
        "-m",
        "galaxy_importer.main",
        archive,
        cwd=tmp_path,  # where it leaves its result
        HOME=str(tmp_path),
        GALAXY_IMPORTER_CONFIG=str(Path(__file__).with_name("galaxy-importer.cfg")),
    )
    said = done.stdout + done.stderr
    errors = [line for line in said.splitlines() if line.startswith(("ERROR", "CRITICAL", "WARNING"))]
    assert "Importer processing completed successfully" in said, said[-3000:]
    assert not errors
