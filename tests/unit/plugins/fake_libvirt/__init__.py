# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fakes of libvirt's Python modules that answer what was recorded; found by ``import libvirt`` when this folder is on the path."""
