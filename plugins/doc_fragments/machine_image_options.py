# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of one base image."""

from __future__ import annotations


class ModuleDocFragment:
    """A base image; ``_libvirt/image.py`` has the rows."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - Whether the image should be there.
      - An image that a machine is made from is not removed.
    type: str
    choices: [present, absent]
    default: present
  source:
    description:
      - Where the image comes from when it is not in the pool yet, as a path on the host where the module runs, or as an HTTP or HTTPS URL.
      - What has another checksum than O(checksum) is not kept.
    type: path
  checksum:
    description: The SHA-256 of the file, as C(sha256sum) prints it, with or without C(sha256:) before it. The image is known by it.
    type: str
    required: true
  format:
    description: The format of the file.
    type: str
    choices: [qcow2, raw]
    default: qcow2
"""
