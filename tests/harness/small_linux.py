# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The small Linux, made by the role's own builder, and kept outside the repository with the packages it is made from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .hypervisor import Hypervisor
from .namespaces import run

BUILDER = Path(__file__).parents[2] / "roles" / "small_linux" / "files"
CACHE = Path(os.environ.get("SLIPWAY_CACHE") or Path.home() / ".cache" / "slipway") / "small-linux"
MIRROR = os.environ.get("SLIPWAY_DEBIAN_MIRROR") or "http://deb.debian.org/debian"


def build(directory: Path, *options: str) -> dict[str, Any]:
    """Run the builder as the role does; return what it says. It makes nothing where the image of this recipe is there."""
    line = [sys.executable, "-m", "builder", str(directory), "--cache", str(CACHE / "packages"), "--mirror", MIRROR]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PATH": path}
    done = subprocess.run([*line, *options], cwd=BUILDER, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def small_linux_in(hypervisor: Hypervisor) -> tuple[dict[str, Any], Path]:
    """The image, made once for its recipe, and a copy of its kernel and its initrd inside the hypervisor's directory."""
    found = build(CACHE / "image")
    place = hypervisor.directory / "guests" / "small-linux"
    run(["mkdir", "-p", str(place)])
    for name, part in (("vmlinuz", "kernel"), ("initrd", "initrd")):
        run(["cp", "--reflink=auto", str(CACHE / "image" / name), str(place / name)])
        found["boot"][part]["source"] = str(place / name)
    return found, place
