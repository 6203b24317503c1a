# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates that a daemon has yet to read: it does so when it starts, and at no other time (moby:daemon/command/daemon.go, newAPIServerTLSConfig)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from . import flags as flag
from .process import Process

CERTIFICATES = ("tlscacert", "tlscert", "tlskey")
CLOSE = 0.05  # seconds by which the clocks of a file and of a process may differ


def document_at(path: str) -> dict[str, Any]:
    """What a daemon's file says; nothing where it cannot be read, for that is said by others."""
    with suppress(OSError, ValueError), open(path, "rb") as stream:
        found = json.load(stream)
        return found if isinstance(found, dict) else {}
    return {}


def used(process: Process, document: Mapping[str, Any]) -> dict[str, str]:
    """The files that a daemon with this document reads, by the key that names them."""
    found = {name: flag.value_of(process.flags, name) or document.get(name) for name in CERTIFICATES}
    return {name: path for name, path in found.items() if isinstance(path, str) and path}


def unread(process: Process, document: Mapping[str, Any]) -> list[str]:
    """The keys whose files were written after the daemon began."""
    began = process.since
    return [name for name, path in used(process, document).items() if 0 < began < _written(path) - CLOSE]


def _written(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
