# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registry takes and gives images."""

from __future__ import annotations

import pytest

from harness.engine import Engine
from harness.registry import Registry

pytestmark = pytest.mark.integration


def test_push_and_pull(engine: Engine, registry: Registry) -> None:
    digest = registry.push("slipway-test/busybox:1", "harness/busy:1")
    assert digest.startswith("sha256:")
    assert registry.tags("harness/busy") == ["1"]
    engine.run_cli("pull", "--quiet", f"{registry.address}/harness/busy:1")
    found = engine.inspect("image", f"{registry.address}/harness/busy:1")
    assert f"{registry.address}/harness/busy@{digest}" in found["RepoDigests"]
