# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inside the process of a module: writes down each call that changes something on a hypervisor, and breaks one of them.

libvirt has no proxy that could be put before it as before an engine, but all such calls go through two methods.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

PACKAGE = "ansible_collections.slipway.docker.plugins.module_utils"
BEFORE = ("refused", "dropped", "kill", "sick")  # what breaks before the call is made; the rest breaks after it


def watch(record: str, fault: str) -> None:
    """Append a line to ``record`` for each call; ``fault`` is "NUMBER KIND", empty for none.

    KIND: ``refused`` is a clear no, ``dropped`` and ``lost`` end the connection before and after the call, ``kill`` and ``killafter`` end the
    process, ``sick`` refuses this call and all that follow, ``deaf`` says that it is done and does nothing.
    """
    hypervisor = importlib.import_module(f"{PACKAGE}._libvirt.hypervisor")
    errors = importlib.import_module(f"{PACKAGE}._converge.errors")
    number, kind = (int(fault.split()[0]), fault.split()[1]) if fault else (0, "")
    lock, count = threading.Lock(), 0

    def broken(mine: int) -> None:
        if kind.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if kind in ("refused", "sick"):
            raise errors.EngineError("broken by the test: refused", 400)
        raise errors.EngineLost(f"broken by the test: {kind} at call {mine}")

    def wrap(method: Callable, name: Callable[..., str]) -> Callable:
        def wrapped(self: Any, *arguments: Any) -> Any:
            nonlocal count
            with lock:
                count += 1
                mine = count
                with open(record, "a") as file:
                    file.write(name(*arguments) + "\n")
            hit = mine == number or (kind == "sick" and mine > number)
            if hit and kind == "deaf":
                return None
            if hit and kind in BEFORE:
                broken(mine)
            result = method(self, *arguments)
            if hit:
                broken(mine)
            return result

        return wrapped

    kept: Any = hypervisor.Hypervisor
    kept.change = wrap(kept.change, lambda what, function, *_rest: f"{what} ({function.__name__})")
    kept.upload = wrap(kept.upload, lambda *_all: "upload")
