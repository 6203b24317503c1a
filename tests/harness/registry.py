# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real registry beside the private engine, at an address only that engine can reach."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from .engine import SYSTEM_PATH, Engine, EngineFailed, wait_for

PORT = 5055
CONFIGURATION = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {directory}/registry}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Registry:
    """Where images can be pushed to and pulled from: ``address``, which needs no TLS as it is a loopback one."""

    def __init__(self, engine: Engine, port: int = PORT) -> None:
        self.engine = engine
        self.address = f"127.0.0.1:{port}"

    def push(self, image: str, name: str) -> str:
        """Push an image of the engine under a name, as if from elsewhere: the engine knows the name as before. Return its digest."""
        reference = f"{self.address}/{name}"
        before = self.engine.inspect("image", reference)
        self.engine.run_cli("tag", image, reference)
        self.engine.run_cli("push", "--quiet", reference)
        self.engine.run_cli("rmi", reference)
        if before:
            self.engine.run_cli("tag", before["Id"], reference)
        return self.digest(name)

    def digest(self, name: str) -> str:
        """Return the digest that the registry has for name:tag; empty when it has none."""
        repository, _, tag = name.partition(":")
        accept = "Accept: application/vnd.docker.distribution.manifest.v2+json"
        url = f"http://{self.address}/v2/{repository}/manifests/{tag or 'latest'}"
        head = self.engine.in_netns("curl", "--silent", "--head", "--header", accept, url, check=False)
        found = [
            line.split(":", 1)[1].strip()
            for line in head.splitlines()
            if line.lower().startswith("docker-content-digest:")
        ]
        return found[0] if found else ""

    def tags(self, repository: str) -> list[str]:
        """Return the tags that the registry has of a repository."""
        answer = self.engine.in_netns("curl", "--silent", f"http://{self.address}/v2/{repository}/tags/list")
        return sorted(json.loads(answer).get("tags") or ())


@contextmanager
def registry_in(engine: Engine, port: int = PORT) -> Iterator[Registry]:
    """A registry in the engine's network namespace; it ends with the block, and in any case with the engine."""
    if not shutil.which("docker-registry", path=SYSTEM_PATH) or not shutil.which("curl"):
        raise EngineFailed("the registry needs these packages: docker-registry curl")
    configuration = engine.directory / f"registry-{port}.yml"
    configuration.write_text(CONFIGURATION.format(directory=engine.directory, port=port))
    with open(engine.directory / "registry.log", "ab") as log:
        command = f"echo $$ >{configuration}.pid; exec docker-registry serve {configuration}"
        process = engine.spawn(["sh", "-c", command], stdout=log, stderr=subprocess.STDOUT)
    try:
        ask = (
            "curl",
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            f"http://127.0.0.1:{port}/v2/",
        )
        wait_for(lambda: engine.in_netns(*ask, check=False) == "200", 10, "the registry to answer")
        yield Registry(engine, port)
    finally:
        engine.in_namespaces("sh", "-c", f"kill $(cat {configuration}.pid)", check=False)
        process.wait(timeout=10)
