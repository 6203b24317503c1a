# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What somebody does by hand between two runs, with another tool."""

from __future__ import annotations

from contextlib import suppress

from harness.engine import ApiError, Engine

from .exam import Dice


def meddle(dice: Dice, engine: Engine) -> str:
    """Do one random thing to one of the project's containers; say what it was."""
    names = [name for name in engine.names("container") if not name.startswith("by-hand")]
    if not names:
        return "nothing"
    name = dice.choice(names)
    shown = engine.inspect("container", name)
    joined = sorted(shown["NetworkSettings"]["Networks"])
    others = [item for item in engine.names("network") if item not in joined]
    ways = [
        ("POST", f"/containers/{name}/pause", None),
        ("POST", f"/containers/{name}/stop?t=1", None),
        ("POST", f"/containers/{name}/kill", None),
        ("POST", f"/containers/{name}/start", None),
        ("POST", f"/containers/{name}/rename?name=by-hand-{name}", None),
        ("DELETE", f"/containers/{name}?force=1", None),
        ("POST", f"/containers/{name}/update", {"CpuShares": 333, "Memory": 48 << 20, "MemorySwap": 96 << 20}),
        ("POST", f"/containers/{name}/update", {"RestartPolicy": {"Name": "always"}}),
        *(("POST", f"/networks/{item}/disconnect", {"Container": name}) for item in joined[:1]),
        *(
            ("POST", f"/networks/{item}/connect", {"Container": name, "EndpointConfig": {"Aliases": ["by-hand"]}})
            for item in others[:1]
        ),
    ]
    method, path, body = dice.choice(ways)
    with suppress(ApiError):  # it may not be possible, as for anybody else
        engine.api(method, path, body)
    return f"{method} {path}"
