# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a module of the installed collection as Ansible would, in a process of its own, without Ansible's controller.

Two ways: `runner.py NAME ARGUMENTS-AS-JSON` runs one module and ends; `runner.py --serve` has the slow imports done once and
forks for each request, a line of JSON: {"module", "arguments", "environment"}, answered by {"stdout", "stderr", "rc"}.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
import traceback

PACKAGE = "ansible_collections.slipway.docker.plugins.modules"


def run(name: str, arguments: dict) -> None:
    """Run the module's main with these arguments; it prints its result and exits."""
    from ansible.module_utils import basic

    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    if os.environ.get("SLIPWAY_CALLS"):
        from mutations import watch  # beside this file

        watch(os.environ["SLIPWAY_CALLS"], os.environ.get("SLIPWAY_FAULT", ""))
    importlib.import_module(f"{PACKAGE}.{name}").main()


def _child(request: dict, output: int, errors: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    status = 0
    try:
        run(request["module"], request["arguments"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def serve() -> None:
    """Answer requests until standard input ends."""
    for name in ("ansible.module_utils.basic", "docker", PACKAGE.replace("modules", "module_utils._module")):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)  # here, so that every fork has it
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            child = os.fork()
            if not child:
                _child(json.loads(line), output.fileno(), errors.fileno())
            _, status = os.waitpid(child, 0)
            output.seek(0)
            errors.seek(0)
            answer = {
                "stdout": output.read().decode(),
                "stderr": errors.read().decode(),
                "rc": os.waitstatus_to_exitcode(status),
            }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        run(sys.argv[1], json.loads(sys.argv[2]))
