# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two ways to run what was built: one module without Ansible's controller, which is fast, and a whole playbook with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COLLECTIONS = ROOT / "build" / "collections"


class Result(dict):
    """What a module returned; ``rc`` and ``stderr`` are those of its process."""

    rc = 0
    stderr = ""

    @property
    def failed(self) -> bool:
        """Whether the module says that it failed."""
        return bool(self.get("failed"))

    @property
    def changed(self) -> bool:
        """Whether the module says that it changed something."""
        return bool(self.get("changed"))

    @property
    def msg(self) -> str:
        """The module's message."""
        return str(self.get("msg", ""))

    @property
    def warned(self) -> list[str]:
        """The texts of the warnings, whatever form this version of Ansible gives them."""
        return [item if isinstance(item, str) else item["event"]["msg"] for item in self.get("warnings") or ()]

    def ok(self) -> Result:
        """Return itself; raise AssertionError with the message when the module failed."""
        assert not self.failed, f"{self.msg}\n{self.get('exception', '')}{self.stderr}"
        return self


def environment(**more: str) -> dict[str, str]:
    """The environment of a run: nothing of the caller's Docker settings, the collection that was installed."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "ANSIBLE_"))}
    return {
        **own,
        "PYTHONPATH": str(COLLECTIONS),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
        **more,
    }


class Killed(Exception):
    """The module was killed before it could say anything."""


class Runner:
    """Runs modules; keeps a process with the slow imports done from one run to the next, which runs under ``prefix`` (nsenter).

    ``command`` starts it where it is not found under this machine's own paths.
    """

    def __init__(self, prefix: Sequence[str] = (), command: Sequence[str] = ()) -> None:
        self._prefix = prefix
        self._command = command or [sys.executable, str(HERE / "runner.py")]
        self._server: subprocess.Popen | None = None

    def module(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        check: bool = False,
        diff: bool = True,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        python: Sequence[str] = (),
        timeout: float = 120,
    ) -> Result:
        """Run one module and return what it returned.

        ``prefix`` is a command to run it under (nsenter, setpriv) and ``python`` another interpreter with its flags; with either the
        module has a fresh process. A module that prints no result raises AssertionError with what it did print.
        """
        full = {
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
            "_ansible_verbosity": 0,
            "_ansible_remote_tmp": tempfile.gettempdir(),
            "_ansible_keep_remote_files": False,
            **arguments,
        }
        request = {"module": name, "arguments": full, "environment": environment(**(env or {}))}
        answer = (
            self._fresh(request, [*prefix, *(python or [sys.executable])], timeout)
            if prefix or python
            else self._served(request)
        )
        return _result(name, answer)

    def _served(self, request: dict) -> dict:
        if self._server is None or self._server.poll() is not None:
            self._server = subprocess.Popen(
                [*self._prefix, *self._command, "--serve"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True,
            )  # fmt: skip
        server = self._server
        assert server.stdin and server.stdout
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        line = server.stdout.readline()
        assert line, "the process that runs modules has died"
        return json.loads(line)

    def _fresh(self, request: dict, interpreter: Sequence[str], timeout: float) -> dict:
        command = [*interpreter, str(HERE / "runner.py"), request["module"], json.dumps(request["arguments"])]
        done = subprocess.run(
            command,
            env=request["environment"],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return {"stdout": done.stdout, "stderr": done.stderr, "rc": done.returncode}

    def kill(self, *_call: object) -> bool:
        """Kill the module that runs now, as a machine that loses its power would; its run raises Killed. Returns False."""
        self.signal(signal.SIGKILL)
        return False

    def signal(self, number: int) -> None:
        """Send a signal to the module that runs now."""
        assert self._server is not None
        pid = self._server.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), number)

    def close(self) -> None:
        """End the kept process."""
        if self._server is not None and self._server.stdin:
            self._server.stdin.close()
            self._server.wait(timeout=10)


def _result(name: str, answer: Mapping[str, Any]) -> Result:
    if answer["rc"] == -signal.SIGKILL:
        raise Killed(name)
    try:
        result = Result(json.loads(answer["stdout"]))
    except ValueError:
        raise AssertionError(
            f"{name} printed no result (exit {answer['rc']}):\n{answer['stdout']}{answer['stderr']}"
        ) from None
    result.rc, result.stderr = answer["rc"], answer["stderr"]
    return result


@dataclass
class Play:
    """A run of ansible-playbook: its exit status, all it printed, and one entry per task and host."""

    rc: int
    output: str
    tasks: list[dict] = field(default_factory=list)

    def task(self, name: str) -> dict:
        """The entry of a task with this name."""
        found = [entry for entry in self.tasks if entry["task"] == name]
        assert found, f"no task {name!r} ran:\n{self.output}"
        return found[-1]

    def result(self, name: str) -> Result:
        """What the task with this name returned."""
        return Result(self.task(name)["result"])


def ansible_command(program: str) -> str:
    """The path of one of Ansible's programs beside this interpreter."""
    return str(Path(sys.executable).parent / program)


def ansible_playbook(
    *arguments: str, directory: Path, env: Mapping[str, str] | None = None, seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real ansible-playbook in a directory, for at most so many seconds."""
    return subprocess.run(
        [ansible_command("ansible-playbook"), *arguments],
        cwd=directory,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def playbook(text: str, *options: str, env: Mapping[str, str] | None = None, directory: Path | None = None) -> Play:
    """Run a playbook given as text against localhost, through the real ansible-playbook."""
    with tempfile.TemporaryDirectory(prefix="slipway-play-") as temporary:
        place = directory or Path(temporary)
        (place / "play.yml").write_text(text)
        record = Path(temporary, "record.jsonl")
        interpreter = f"ansible_python_interpreter={sys.executable}"
        arguments = ["-i", "localhost,", "-c", "local", "-e", interpreter, "play.yml", *options]
        settings = {
            "SLIPWAY_RECORD": str(record),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_HOME": f"{temporary}/home",
        }
        done = ansible_playbook(*arguments, directory=place, env={**settings, **(env or {})})
        tasks = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return Play(done.returncode, done.stdout + done.stderr, tasks)
