# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sources in a zip archive: their names are known without compiling them, and are the names Python itself would find."""

from __future__ import annotations

import zipfile
import zipimport
from pathlib import Path

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._archive import file_name


@pytest.mark.parametrize("module", ["alone", "package", "package.inner"])
def test_the_name_is_the_one_that_python_finds(tmp_path: Path, module: str) -> None:
    archive = tmp_path / "sources.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("alone.py", "package/__init__.py", "package/inner.py"):
            file.writestr(name, "x = 1\n")
    folder = "/".join(module.split(".")[:-1])
    importer = zipimport.zipimporter(f"{archive}/{folder}" if folder else str(archive))
    assert file_name(importer, module) == importer.get_filename(module)
