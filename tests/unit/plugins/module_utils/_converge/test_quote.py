# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's value in a message is short, and still tells which one it is."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import quote


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/etc/docker/tls/key.pem", '"/etc/docker/tls/key.pem"'),
        ("/srv/" + "a/" * 40 + "key.pem", '"/srv/a/a/a/a/a/a/a/a/a/a/a...a/a/a/a/a/a/a/a/a/a/a/key.pem"'),
        (list(range(40)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16..."),
    ],
)
def test_a_long_value_is_cut(value: Any, shown: str) -> None:
    assert quote(value) == shown
    assert len(shown) <= 60
