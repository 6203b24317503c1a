# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The quickstart's API: greets, and counts its visitors in the store. `api.py --ping` is its health check."""

from __future__ import annotations

import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

PORT = 8000
STORE = ("store", 6379)


def ask_store(*words: str) -> str:
    """Send one command to the store and return its one-line answer."""
    with socket.create_connection(STORE, timeout=2) as connection, connection.makefile("rw", newline="\r\n") as stream:
        stream.write(" ".join(words) + "\n")
        stream.flush()
        answer = stream.readline().strip()
    if not answer or answer[0] == "-":
        raise OSError(f"the store says {answer!r}")
    return answer[1:]


def greeting() -> str:
    """The greeting, with the number of visits so far."""
    return f"{os.environ.get('GREETING', 'Hello')}. You are visitor {ask_store('INCR', 'visits')}.\n"


PAGES = {"/api/greeting": greeting, "/healthz": lambda: ask_store("PING") + "\n"}


class Handler(BaseHTTPRequestHandler):
    """Answers what PAGES has."""

    def do_GET(self) -> None:
        """Answer one request; a store that does not answer is a 503."""
        page = PAGES.get(self.path)
        try:
            status, text = (200, page()) if page else (404, "no such page\n")
        except OSError as error:
            status, text = 503, f"{error}\n"
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Keep quiet."""


if __name__ == "__main__":
    if sys.argv[1:] == ["--ping"]:
        urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=2)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        ThreadingHTTPServer(("", PORT), Handler).serve_forever()
