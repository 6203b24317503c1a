# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Imported first, so that what follows is compiled once: Ansible sends a module as a zip archive of sources.

To learn the name of a file in an archive, Python 3.10 to 3.15 compile it, and then again to run it:
https://github.com/python/cpython/issues/141276
"""

from __future__ import annotations

import os
import zipimport


def file_name(importer: zipimport.zipimporter, module: str) -> str:
    """Where the source of a module lies, told by its name."""
    last = module.rpartition(".")[2]
    path = os.path.join(last, "__init__") if importer.is_package(module) else last
    return os.path.join(importer.archive, f"{importer.prefix}{path}.py")


if isinstance(globals().get("__loader__"), zipimport.zipimporter):
    zipimport.zipimporter.get_filename = file_name  # type: ignore[method-assign]
