# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The floor: nothing but the calls, by threads that each keep a connection. No faster client does the same work.

    python floor.py SOCKET OPERATION < {"containers": [...], "replace": [names]}

It looks once (one list, an inspect of each), then makes the changing calls that a careful replacement is made of: create
beside, rename, rename, stop, start, remove. It waits for nothing and looks at nothing afterwards. It prints the seconds from
its first call to its last, so that its own start is not in them.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.engine import UnixConnection

THREADS = 8  # as many as the module has workers
MEGABYTE = 1 << 20


class Client:
    """Calls an engine; every thread has a connection of its own."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.local = threading.local()

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Make one call and return the answer's document."""
        if not hasattr(self.local, "connection"):
            self.local.connection = UnixConnection(self.path)
        connection = self.local.connection
        text = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, f"{path}?{urlencode(query)}" if query else path, text, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status} {data.decode(errors='replace')}")
        return json.loads(data) if data else None


def document(spec: dict) -> dict:
    """What a create sends for a container."""
    return {
        "Image": spec["image"],
        "Cmd": spec["command"],
        "Env": [f"{name}={value}" for name, value in spec["env"].items()],
        "HostConfig": {
            "Memory": int(spec["memory"].rstrip("m")) * MEGABYTE,
            "RestartPolicy": {"Name": spec["restart_policy"]},
        },
    }


def look(call: Client, each: Callable[[Callable, Iterable], None]) -> dict[str, str]:
    """One list and as many inspects as there are containers; returns the IDs by name."""
    found = call("GET", "/containers/json", all=1)
    each(lambda item: call("GET", f"/containers/{item['Id']}/json"), found)
    return {item["Names"][0].lstrip("/"): item["Id"] for item in found}


def create(call: Client, spec: dict) -> None:
    """Make a container and start it."""
    call("POST", "/containers/create", document(spec), name=spec["name"])
    call("POST", f"/containers/{spec['name']}/start")


def replace(call: Client, spec: dict, old: str) -> None:
    """Put a new container into the place of an old one, which stays until the new one has been started."""
    name = spec["name"]
    new = call("POST", "/containers/create", document(spec), name=f"{name}-new")["Id"]
    call("POST", f"/containers/{old}/rename", name=f"{name}-old")
    call("POST", f"/containers/{new}/rename", name=name)
    call("POST", f"/containers/{old}/stop")
    call("POST", f"/containers/{new}/start")
    call("DELETE", f"/containers/{old}", force=1)


def remove(call: Client, identity: str) -> None:
    """Stop a container and remove it."""
    call("POST", f"/containers/{identity}/stop")
    call("DELETE", f"/containers/{identity}", force=1)


def main() -> None:
    """Do one operation and print how long its calls took."""
    path, operation = sys.argv[1:]
    task = json.load(sys.stdin)
    wanted = {spec["name"]: spec for spec in task["containers"]}
    call = Client(path)
    with ThreadPoolExecutor(THREADS) as pool:

        def each(work: Callable, items: Iterable) -> None:
            list(pool.map(work, items))

        began = time.monotonic()
        ids = look(call, each)
        if operation == "remove":
            each(lambda name: remove(call, ids[name]), wanted)
        else:
            each(lambda name: create(call, wanted[name]), [name for name in wanted if name not in ids])
            each(lambda name: replace(call, wanted[name], ids[name]), task["replace"])
        print(time.monotonic() - began)


if __name__ == "__main__":
    main()
