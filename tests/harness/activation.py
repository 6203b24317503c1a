# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Holds sockets as a socket unit of systemd does, and starts a daemon on them, again whenever it has ended: what connects meanwhile waits.

`activation.py UNIX-SOCKET,ADDRESS:PORT,... COMMAND...`; the protocol is that of sd_listen_fds(3).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

FIRST = 3  # SD_LISTEN_FDS_START


def listening(where: str) -> socket.socket:
    """A socket that listens at a path or an ADDRESS:PORT."""
    if where.startswith("/"):
        if os.path.exists(where):
            os.unlink(where)
        found = socket.socket(socket.AF_UNIX)
        found.bind(where)
    else:
        address, _, port = where.rpartition(":")
        found = socket.create_server((address, int(port)))
    found.listen(4096)  # as systemd does
    return found


def start(sockets: list[socket.socket], command: list[str]) -> int:
    """Start the daemon with the sockets; return its process."""
    pid = os.fork()
    if pid:
        return pid
    numbers = [os.dup(one.fileno()) for one in sockets]
    for place, number in enumerate(numbers):
        os.dup2(number, FIRST + place)
    os.closerange(FIRST + len(sockets), 256)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)))
    return os.execvp(command[0], command)


def main() -> None:
    """Hold the sockets until the end, and the daemon on them."""
    sockets = [listening(where) for where in sys.argv[1].split(",")]
    daemon = 0
    signal.signal(signal.SIGTERM, lambda *_: (os.kill(daemon, signal.SIGTERM), os.waitpid(daemon, 0), os._exit(0)))
    while True:
        daemon = start(sockets, sys.argv[2:])
        began = time.monotonic()
        _, status = os.waitpid(daemon, 0)
        # One that was told to end, however young, has not failed.
        if status and time.monotonic() - began < 1:
            sys.exit(f"{sys.argv[2]} has ended at once")


if __name__ == "__main__":
    main()
