# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of the engine that others than root could change or read are found, and the mode that mends them takes just these bits."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import INSTALLED

ROLE = INSTALLED / "roles" / "engine"
KINDS = yaml.safe_load((ROLE / "vars" / "main" / "permissions.yml").read_text())["__engine_kinds"]
# kind: modes that are well, modes that are not and what becomes of them.
MODES = {
    "folder": ([0o755, 0o700, 0o711], {0o775: 0o755, 0o1777: 0o755, 0o2750: 0o750}),
    "file": ([0o644, 0o600, 0o640], {0o664: 0o644, 0o666: 0o644, 0o755: 0o644}),
    "certificate": ([0o444, 0o400], {0o644: 0o444, 0o600: 0o400}),
    "key": ([0o400], {0o600: 0o400, 0o440: 0o400, 0o644: 0o400}),
    "socket": ([0o660, 0o600], {0o666: 0o660, 0o777: 0o660}),
}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files have to belong to root")


def exposed(kind: str, path: Path) -> str:
    """What the script says of one path."""
    said = look(f"{kind} {KINDS[kind]['bits']} root {path}\n")
    return "\n".join(found for found in said if str(path) in found)


def look(lines: str, directory: str = "/nowhere") -> list[str]:
    """What the script says, by lines."""
    bits = [KINDS[kind]["bits"] for kind in ("file", "certificate", "key")]
    command = ["sh", str(ROLE / "files" / "exposed.sh"), *bits, directory]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.splitlines()


def made(kind: str, folder: Path) -> Path:
    path = folder / "it is here"
    path.mkdir() if kind == "folder" else path.touch()
    return path


@pytest.mark.parametrize("kind", MODES)
def test_what_is_as_it_should_be_is_not_named(kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path)
    for mode in MODES[kind][0]:
        path.chmod(mode)
        assert exposed(kind, path) == "", oct(mode)


@pytest.mark.parametrize("kind", MODES)
def test_what_others_can_do_is_named_and_taken_away(kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path)
    for mode, mended in MODES[kind][1].items():
        path.chmod(mode)
        assert exposed(kind, path) == f"{kind} root {path}", oct(mode)
        subprocess.run(["chmod", KINDS[kind]["mode"], str(path)], check=True, timeout=10)
        assert path.stat().st_mode & 0o7777 == mended, oct(mode)
        assert exposed(kind, path) == ""


def test_an_owner_who_is_not_root_is_named(tmp_path: Path) -> None:
    path = made("file", tmp_path)
    path.chmod(0o644)
    os.chown(path, 65534, 0)
    assert exposed("file", path) == f"file root {path}"


def test_what_is_not_there_is_not_named(tmp_path: Path) -> None:
    assert exposed("file", tmp_path / "gone") == ""


def test_of_registries_files_keys_are_for_root_alone_whoever_put_them_there(tmp_path: Path) -> None:
    folder = tmp_path / "registry.example"
    folder.mkdir()
    for name, mode in {"ca.crt": 0o444, "client.cert": 0o644, "client.key": 0o444, "other.key": 0o400}.items():
        (folder / name).touch()
        (folder / name).chmod(mode)
    said = {line for line in look("", str(tmp_path)) if str(tmp_path) in line}
    assert said == {f"certificate root {folder}/client.cert", f"key root {folder}/client.key"}
