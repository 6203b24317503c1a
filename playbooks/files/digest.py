# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints one digest of a file, or of all files of a folder: their names, contents and whether they may be executed. Runs on the controller."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator


def files(top: str) -> Iterator[tuple[str, str]]:
    """(name, path) of each file, by name; links are followed, as they are when the folder is copied."""
    if not os.path.isdir(top):
        yield os.path.basename(top), top
    for folder, folders, names in os.walk(top, followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            yield os.path.relpath(path, top), path


def main(top: str) -> None:
    """Print the digest."""
    digest = hashlib.sha256()
    for name, path in files(top):
        with open(path, "rb") as file:
            content = (
                hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
            )
        digest.update(f"{name}\0{os.access(path, os.X_OK)}\0{content.hexdigest()}\0".encode("utf-8", "surrogateescape"))
    print(digest.hexdigest()[:32])


if __name__ == "__main__":
    main(sys.argv[1])
