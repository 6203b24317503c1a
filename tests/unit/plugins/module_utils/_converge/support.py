# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converging against the engine in memory, as _module.py does against a real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.apply import Run
from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import Resource
from ansible_collections.slipway.docker.plugins.module_utils._converge.journal import Journal
from ansible_collections.slipway.docker.plugins.module_utils._converge.plan import Plan, plan
from ansible_collections.slipway.docker.plugins.module_utils._docker import spec
from ansible_collections.slipway.docker.plugins.module_utils._docker.perform import Performer
from ansible_collections.slipway.docker.plugins.module_utils._docker.snapshot import snapshot

from ..fake_engine import FakeEngine


def task(params: Mapping[str, Any]) -> spec.Task:
    """Read a task, with no waiting."""
    return spec.read_lists({"min_healthy_time": 0, **params}, ())


def planned(engine: FakeEngine, params: Mapping[str, Any]) -> tuple[Plan, Sequence[Resource]]:
    """Plan a task against an engine."""
    read = task(params)
    world = snapshot(engine, read.desired, read.policy)
    return plan(read.desired, world, read.policy), read.desired


def converge(engine: FakeEngine, params: Mapping[str, Any], parallelism: int = 1) -> tuple[Plan, Journal]:
    """Plan and apply a task."""
    foretold, _desired = planned(engine, params)
    run = Run(
        Performer(engine),
        parallelism,
        params.get("on_failure", "rollback"),
        params.get("update_config", {}).get("max_failures", 0),
    )
    return foretold, run(foretold.actions)
