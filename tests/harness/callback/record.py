# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A callback plugin that writes what each task returned, and when, as lines of JSON to the file $SLIPWAY_RECORD."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: writes task results as lines of JSON
description: [Writes one line per task and host to the file named by the environment variable SLIPWAY_RECORD.]
"""


class CallbackModule(CallbackBase):
    """One line per result: task, host, status, seconds, result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"

    def __init__(self) -> None:
        super().__init__()
        self.started: dict[tuple[str, str], float] = {}

    def v2_runner_on_start(self, host, task):
        """Note the time."""
        self.started[host.name, task._uuid] = time.monotonic()

    def _record(self, status, result):
        name = result._host.name
        began = self.started.get((name, result._task._uuid), time.monotonic())
        entry = {
            "task": result._task.get_name(),
            "action": result._task.action,
            "host": name,
            "status": status,
            "seconds": time.monotonic() - began,
            "result": result._result,
        }
        with open(os.environ["SLIPWAY_RECORD"], "a") as record:
            record.write(json.dumps(entry, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        """Record a success."""
        self._record("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """Record a failure."""
        self._record("failed", result)

    def v2_runner_on_skipped(self, result):
        """Record a skip."""
        self._record("skipped", result)

    def v2_runner_on_unreachable(self, result):
        """Record a host that did not answer."""
        self._record("unreachable", result)
