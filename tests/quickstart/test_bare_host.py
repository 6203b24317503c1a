# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host without an engine: its plan is the engine, which is installed as approved; what runs on it is planned and approved after that."""

from __future__ import annotations

import json

import pytest
from test_quickstart import Host, host  # noqa: F401

pytestmark = [pytest.mark.molecule, pytest.mark.slow]

NOT_THE_APP = {"slipway_engine": True, "slipway_containers": [], "slipway_images": [], "slipway_files": []}
OPTIONS = ("-e", json.dumps(NOT_THE_APP))
PLAN = ("-e", "plan=plan.json")


def test_the_engine_is_approved_before_what_runs_on_it(host: Host) -> None:  # noqa: F811
    host.play("drift", *OPTIONS, status=2)
    host.play("plan", *OPTIONS)
    assert "engine/packages   missing" in (host.folder / "plan.md").read_text()

    # Another configuration of the daemon is another plan.
    other = {
        "engine_daemon_config": {
            "live-restore": True,
            "log-driver": "local",
            "log-opts": {"max-file": "9", "max-size": "10m"},
        }
    }
    refused = host.play("site", *OPTIONS, *PLAN, "-e", json.dumps(other), status=2)
    assert "nothing was touched" in refused
    assert not host.run("find", "/usr/sbin/dockerd", "/usr/bin/dockerd", "-maxdepth", "0", check=False)

    stopped = host.play("site", *OPTIONS, *PLAN, status=2)
    assert "+ network/quickstart       missing" in stopped
    assert "quickstart" not in host.run("docker", "network", "ls")
    assert "planned once the engine runs" in host.play("site", *OPTIONS, *PLAN, status=2)

    host.play("plan", *OPTIONS)
    host.play("site", *OPTIONS, *PLAN)
    assert "quickstart" in host.run("docker", "network", "ls")
    host.play("drift", *OPTIONS)
