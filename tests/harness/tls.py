# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An engine that listens on TCP with TLS on both sides, its authority, and a client that calls it again and again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .engine import COMMANDS, NAMES, Engine, clean_leftovers
from .namespaces import SYSTEM_PATH, environment, one_of, started, wait_for
from .run import Result, Runner

NAME, PORT = "engine.example.org", 2376


class TlsEngine(Engine):
    """Its sockets are held beside it, as systemd holds them, so that it can restart without a connection that is refused."""

    def _daemon_command(self) -> list[str]:
        command = super()._daemon_command()
        command[command.index(self.url)] = "fd://"
        sockets = ",".join([self.socket, f"0.0.0.0:{PORT}"])
        return [sys.executable, str(Path(__file__).with_name("activation.py")), sockets, *command, "--live-restore"]

    def answers(self) -> bool:
        """Say whether the daemon answers; its socket takes a connection before it does."""
        return (self.directory / "pid").exists() and super().answers()

    @property
    def daemon(self) -> str:
        """The daemon's process, empty while there is none."""
        try:
            return (self.directory / "pid").read_text().strip()
        except FileNotFoundError:
            return ""

    def restart(self) -> None:
        """Have the daemon end; it is started again at once, as by `systemctl restart`."""
        before = self.daemon
        self.close_connection()
        self.in_namespaces("kill", "-TERM", before)
        wait_for(lambda: self.daemon not in ("", before) and self.answers(), 60, "dockerd to be back")


class ListeningEngine(Engine):
    """It listens by itself, where daemon.json says."""

    def _daemon_command(self) -> list[str]:
        command = super()._daemon_command()
        place = command.index("-H")
        (self.directory / "daemon.json").write_text(json.dumps({"hosts": [self.url]}))
        return [*command[:place], *command[place + 2 :]]


class Tls:
    """The task engine_tls on an engine's host, its authority, and what its clients see."""

    def __init__(self, engine: Any, runner: Runner, folder: Path) -> None:
        self.engine, self.runner = engine, runner
        self.authority = folder / "authority"
        self.path = engine.directory / "tls"
        self.config = engine.directory / "daemon.json"

    def __call__(self, *, check: bool = False, now: float | None = None, **options: Any) -> Result:
        """Run the task as the action plugin does, its remote steps in the engine's namespaces."""
        from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError, SpecError
        from ansible_collections.slipway.docker.plugins.plugin_utils import engine_tls, engine_tls_run

        said = {"authority": str(self.authority), "path": str(self.path), "clients": ["admin"], **options}
        try:
            asked = engine_tls.read(said)
            return Result(engine_tls_run.converge(asked, "engine", [NAME], self._remote, check, now))
        except SpecError as error:
            return Result(failed=True, msg=str(error), mistakes=error.mistakes)
        except SlipwayError as error:
            return Result(failed=True, msg=str(error))

    def _remote(self, step: str, **more: Any) -> Mapping[str, Any]:
        return self.runner.module("engine_tls", {"path": str(self.path), "_work": {"step": step, **more}}).ok()

    def change(self, **options: Any) -> Result:
        """Run it and prove that check mode foretold it, and that a second run finds nothing to do."""
        before = self.tree()
        foretold = self(check=True, **options).ok()
        assert foretold.changed and self.tree() == before
        done = self(**options).ok()
        assert done["plan"] == foretold["plan"] and done["plan_id"] == foretold["plan_id"]
        assert done["steps"] == foretold["steps"] and done["restart"] == foretold["restart"]
        self.settled(**options)
        return done

    def settled(self, **options: Any) -> Result:
        """Run it and prove that there is nothing to do."""
        before = self.tree()
        again = self(**options).ok()
        assert not again.changed and again["plan"] == [] and self.tree() == before
        return again

    def tree(self) -> dict[str, tuple]:
        """Every file of both ends, with its mode and content."""
        return {
            str(path): (oct(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
            for folder in (self.authority, self.path)
            for path in sorted(folder.rglob("*"))
        }

    def serve(self) -> None:
        """Have the daemon use what there is."""
        self.config.write_text(json.dumps(self(check=True).ok()["daemon_config"]))
        self.engine.restart()

    def client(self, name: str = "admin") -> Path:
        """The directory of a client."""
        return self.authority / "clients" / name

    def command(self, *arguments: str, host: str = "127.0.0.1", client: Path | None = None) -> list[str]:
        """The command line of a client of the docker CLI."""
        folder = client or self.client()
        tls = [
            f"--tls{name}={folder / file}"
            for name, file in (("cacert", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem"))
        ]
        docker = shutil.which("docker", path=SYSTEM_PATH)
        assert docker
        return self.engine.enter(docker, "--tlsverify", *tls, "--host", f"tcp://{host}:{PORT}", *arguments, pid=False)

    def call(self, *arguments: str, **more: Any) -> str:
        """What a client is told, or why it is not."""
        command = self.command(*(arguments or ("version", "--format", "{{.Server.Version}}")), **more)
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=60)
        return done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip()}"


class Poll:
    """A client that calls each ``pause`` seconds, every call a process and a connection of its own. ``failed``: what they said."""

    def __init__(self, command: Sequence[str], pause: float = 0.2) -> None:
        self.command, self.pause = list(command), pause
        self.calls, self.failed, self.slowest = 0, [], 0.0
        self._ended = threading.Event()
        self._waiting: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Poll:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for one in self._waiting:
            one.join()

    def _run(self) -> None:
        following = time.monotonic()
        while not self._ended.is_set():
            one = threading.Thread(target=self._call)
            one.start()
            self._waiting.append(one)
            following += self.pause
            self._ended.wait(max(0.0, following - time.monotonic()))

    def _call(self) -> None:
        began = time.monotonic()
        done = subprocess.run(
            self.command, capture_output=True, text=True, env=environment(), check=False, stdin=subprocess.DEVNULL
        )
        self.calls += 1
        self.slowest = max(self.slowest, time.monotonic() - began)
        if done.returncode:
            self.failed.append(f"{time.monotonic():.1f}: {done.stderr.strip()}")


@contextmanager
def tls_engine(folder: Path, *options: str, kind: type[Engine] = TlsEngine) -> Iterator[Tls]:
    """A running engine whose sockets are held, and the task for it; nothing has a certificate yet."""
    with (
        one_of(NAMES, "engine", {**COMMANDS, "openssl": "openssl"}, clean_leftovers) as name,
        started(kind(name, options)) as engine,
    ):
        runner = Runner(engine.enter())
        try:
            yield Tls(engine, runner, folder)
        finally:
            runner.close()
