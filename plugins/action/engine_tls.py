# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""engine_tls on the controller, where the authority is; the module of the same name does what is to be done on the engine's host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import (
    MissingLibrary,
    SlipwayError,
    SpecError,
)
from ansible_collections.slipway.docker.plugins.plugin_utils import engine_tls as tls

MODULE = "slipway.docker.engine_tls"


class ActionModule(ActionBase):
    """Reads the task, works on the controller, and sends steps to the host."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task; every failure is one message."""
        self._variables = task_vars or {}
        result = super().run(tmp, task_vars)
        try:
            result.update(self._converge())
        except MissingLibrary as error:
            result.update(failed=True, msg=f"{error.library} is not there ({error.why}); {error.way_out}")
        except SlipwayError as error:
            result.update(failed=True, msg=str(error))
            if isinstance(error, SpecError):
                result["mistakes"] = error.mistakes
        return result

    def _converge(self) -> dict[str, Any]:
        from ansible_collections.slipway.docker.plugins.plugin_utils import engine_tls_run

        said = dict(self._task.args)
        if isinstance(said.get("authority"), str) and said["authority"]:
            said["authority"] = self._loader.path_dwim(said["authority"])  # as for every file of the controller
        asked = tls.read(said)
        self._path = asked.path
        found = engine_tls_run.converge(asked, self._host(), self._names(), self._remote, self._task.check_mode)
        for warning in found.pop("warned"):
            Display().warning(warning)
        return found

    def _host(self) -> str:
        return self._task.delegate_to or self._variables.get("inventory_hostname") or "host"

    def _names(self) -> list[str]:
        """What Ansible calls the host: its name in the inventory, and where it is reached."""
        variables: Mapping[str, Any] = self._variables
        if self._task.delegate_to:
            variables = variables.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        address = self._templar.template(variables.get("ansible_host") or "")
        return [name for name in (self._host(), address) if isinstance(name, str) and name]

    def _remote(self, step: str, **more: Any) -> Mapping[str, Any]:
        arguments = {"path": self._path, "_work": {"step": step, **more}}
        found = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=self._variables)
        if found.get("failed") or found.get("unreachable"):
            raise SlipwayError(str(found.get("msg") or "the host gave no answer"))
        return found
