# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What leaves a module: no secrets in the invocation."""

from __future__ import annotations

from ansible_collections.slipway.docker.plugins.module_utils._module import hide


def test_secret_looking_values_are_masked_wherever_they_are() -> None:
    params = {
        "containers": [{"name": "db", "env": {"DB_PASSWORD": "x1", "USER": "me"}, "command": ["a", "TOKEN=x2", "B=c"]}],
        "client_key": None,
    }
    assert hide(params) == {
        "containers": [
            {"name": "db", "env": {"DB_PASSWORD": "******", "USER": "me"}, "command": ["a", "TOKEN=******", "B=c"]}
        ],
        "client_key": None,
    }
