# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the read-only main() of machines does."""

from __future__ import annotations

from ._converge.desired import read_options
from ._converge.errors import SpecError
from ._converge.option import Option
from ._libvirt import info
from ._libvirt.session import CONNECTION, LIBVIRT
from ._module import SlipwayModule, run

MACHINES = (Option("name", "str"), Option("project", "str"), Option("console_lines", "int", default=0))
MOST_LINES = 10000


def machines() -> None:
    """The main() of machine_info."""
    options = (*MACHINES, *CONNECTION)
    run(options, lambda module: _read(module, read_options(options, module.given())))


def _read(module: SlipwayModule, params: dict) -> None:
    name, project, lines = params.get("name"), params.get("project"), params["console_lines"]
    if not 0 <= lines <= MOST_LINES:
        raise SpecError([f"console_lines: {lines} is not a number from 0 to {MOST_LINES}"])
    with LIBVIRT.open(module.given()) as session:
        found = info.machines(session.hypervisor, name or "", project or "", lines)
        one = {"exists": bool(found), "machine": found[0] if found else None} if name else {}
        module.leave(changed=False, **one, machines=found, hypervisor=info.facts(session.hypervisor, session.driver))
