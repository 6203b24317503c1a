# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The main() of engine_tls on the engine's host: it does what the controller, where the authority is, has decided."""

from __future__ import annotations

import os

from ._converge.errors import SlipwayError
from ._daemon import tls_host, tls_owned, tls_spec
from ._module import SlipwayModule, run


def main() -> None:
    """Do one step."""
    run((*tls_spec.OPTIONS, tls_spec.WORK), _step)


def _step(module: SlipwayModule) -> None:
    work, folder = module.params.get("_work"), module.params.get("path")
    if not isinstance(work, dict) or not isinstance(folder, str):
        raise SlipwayError(
            "engine_tls works from the controller, where the authority is; call it as slipway.docker.engine_tls from a playbook"
        )
    if work["step"] == "look":
        module.leave(changed=False, seen=tls_host.look(folder))
    elif work["step"] == "owned":
        module.leave(changed=False, seen=tls_owned.look(folder, work["replace"]))
    elif module.check_mode:
        raise SlipwayError("check mode only looks")
    try:
        if work["step"] == "key":
            module.leave(changed=True, public=tls_host.make_key(folder))
        if work["step"] == "remove":
            tls_owned.remove(folder, work["files"])
            module.leave(changed=True)
        tls_host.place(folder, work["files"], work["new_key"])
    except OSError as error:
        raise SlipwayError(f"{error.filename or folder}: {os.strerror(error.errno or 0)}") from None
    module.leave(changed=True)
