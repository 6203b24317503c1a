# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""libvirt's own schema as the judge of what we write."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SCHEMAS = Path("/usr/share/libvirt/schemas")


def check(schema: str, texts: Mapping[str, str], folder: Path) -> None:
    """Fail with xmllint's words when one of the texts is not what the schema wants."""
    grammar = SCHEMAS / f"{schema}.rng"
    if not grammar.exists():
        pytest.skip(f"{grammar} is not here; install libvirt0")
    if not shutil.which("xmllint"):
        pytest.skip("xmllint is not here; install libxml2-utils")
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.xml")
        paths[-1].write_text(text)
    done = subprocess.run(
        ["xmllint", "--noout", "--relaxng", str(grammar), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
