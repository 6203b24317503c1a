# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How to reach the hypervisor: options of every module for machines."""

from __future__ import annotations


class ModuleDocFragment:
    """The connection; ``_libvirt/session.py`` has its row."""

    DOCUMENTATION = r"""
options:
  uri:
    description:
      - The hypervisor, as libvirt names it, such as V(qemu:///system), V(qemu:///session), V(qemu+ssh://root@host/system) or
        V(qemu+unix:///system?socket=/path).
      - V(vbox:///session), V(hyperv://HOST) and QEMU with HVF on macOS can do less. What a hypervisor cannot do is refused before
        anything happens. Of these only QEMU under Linux is tested with real machines.
    type: str
    default: qemu:///system
requirements:
  - libvirt 9.0 or newer, as far as it is tested
  - libvirt for Python, C(python3-libvirt) or C(libvirt-python), where the module runs
  - OpenSSH 8.5 or newer where the module runs, for C(ssh-keygen), and for C(ssh) where it waits for SSH
  - Python 3.9 or newer where the module runs
"""
