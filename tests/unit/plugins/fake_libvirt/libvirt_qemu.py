# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the connection plugin uses of libvirt_qemu."""

from __future__ import annotations


def qemuAgentCommand(domain, command: str, timeout: int, _flags: int) -> str:
    assert timeout > 0
    return domain.answer(command)
