# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ports of this host: whether one can be had."""

from __future__ import annotations

import errno
import socket

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
WORDS = {
    errno.EADDRINUSE: "something else has; choose another, or end what has it (`ss -lntup` says what that is)",
    errno.EACCES: "whoever runs this may not have; choose one from 1024 on",
    errno.EADDRNOTAVAIL: "cannot be had, for this host does not have that address; write 127.0.0.1, or no address for all",
}


def refusal(binding: tuple[str, str, str]) -> str:
    """Why a port of this host cannot be had, and the way out; empty when it can. It is had for a moment, as QEMU would have it."""
    port, ip, number = binding
    kind = KINDS[port.partition("/")[2]]
    with socket.socket(socket.AF_INET, kind) as taken:
        if kind == socket.SOCK_STREAM:
            taken.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # connections that have ended are in nobody's way
        try:
            taken.bind((ip, int(number)))
            if kind == socket.SOCK_STREAM:
                taken.listen(1)
        except OSError as error:
            return WORDS.get(error.errno or 0, "")
    return ""
