# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a hypervisor's URI says of where it is and whose it is. https://libvirt.org/uri.html"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

SYSTEM = "/var/lib/libvirt/images/slipway"
# What is under the user's data, https://specifications.freedesktop.org/basedir-spec; virt-manager keeps a session's images there too.
OF_A_USER = "libvirt/images/slipway"


def is_here(uri: str) -> bool:
    """Whether the hypervisor is that of this host."""
    return not urlsplit(uri).netloc


def is_session(uri: str) -> bool:
    """Whether QEMU runs with no more rights than its user has."""
    parts = urlsplit(uri)
    return parts.scheme.partition("+")[0] == "qemu" and parts.path == "/session"


def log_folder(uri: str) -> str:
    """Where libvirt keeps what QEMU says; empty where nobody here can know it. https://libvirt.org/kbase/debuglogs.html"""
    parts = urlsplit(uri)
    if parts.scheme.partition("+")[0] != "qemu" or not is_here(uri) or parts.query:
        return ""
    if not is_session(uri):
        return "/var/log/libvirt/qemu"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "libvirt/qemu/log")


def pool_path(uri: str) -> str | None:
    """Where files of machines are kept when nobody says where; None where nobody here can know it: in somebody's home on another host."""
    if not is_session(uri):
        return SYSTEM
    if not is_here(uri):
        return None
    return os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), OF_A_USER)
