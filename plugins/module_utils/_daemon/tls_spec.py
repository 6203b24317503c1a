# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of engine_tls, and the files it keeps, as both sides know them. Options are read on the controller; the host gets what it has to do in WORK."""

from __future__ import annotations

from .._converge.option import Option
from .._converge.task import GUARD, STATE

DIRECTORY = "/etc/docker/tls"
CA, CERT, KEY = "ca.pem", "cert.pem", "key.pem"
MODES = {CA: 0o444, CERT: 0o444, KEY: 0o400}  # of an engine's files and of a client's
# Beside an engine's: which certificates were put there, and what a run that was killed may leave.
NOTE, NEW_KEY, TRIED = ".managed", ".key.pem.new", ".cert.pem.tried"
OPTIONS = (
    STATE,
    Option("authority", "path"),
    Option("names", "list", elements="str"),
    Option("addresses", "bool", default=True),
    Option("clients", "list", elements="str"),
    Option("path", "path", default=DIRECTORY),
    Option("rotate", choices=("trust", "issue", "finish")),
    Option("replace", "bool", default=False),
    Option("server_days", "int", default=90),
    Option("client_days", "int", default=30),
    Option("authority_days", "int", default=1825),
    *GUARD,
)
# What the controller tells the host, beside ``path``: {"step": "look"}, {"step": "key"}, {"step": "place", "files": {...}}, and where they are to go
# {"step": "owned", "replace": false}, {"step": "remove", "files": [...]}.
WORK = Option("_work", "dict")
