# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tests need of the world: a private engine, a recording proxy before it, a registry, a private hypervisor, and ways to run modules."""
