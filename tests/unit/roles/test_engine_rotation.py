# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook that rotates an authority takes no step on hosts whose variables it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.run import ansible_playbook

INVENTORY = """
engines:
  hosts:
    told: {engine_tls: {authority: /nowhere}}
    untold:
    empty: {engine_tls: {}}
"""


@pytest.mark.parametrize("options", [[], ["--tags", "issue"]])
def test_a_host_whose_variables_are_not_in_the_inventory_is_refused_before_any_step(
    tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    line = ["-i", "inventory.yml", "slipway.docker.rotate_certificates", *options]
    done = ansible_playbook(*line, directory=tmp_path, seconds=180)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    for host in ("untold", "empty"):
        assert f"{host}: engine_tls.authority is not known here" in said
    assert "told: engine_tls.authority is not known" not in said.replace("untold", "")
    assert "the role's variables (engine_tls and all others) into the inventory" in said
    assert "Take the step" not in said
