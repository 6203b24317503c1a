# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private, real dockerd that leaves the machine as it found it.

Everything the daemon makes (bridges, firewall rules, mounts, processes) lives in namespaces that end with one process,
the holder, and the holder ends with the test run, however that ends. What can be left of a killed run is a directory
and some empty cgroups; the next run removes them first.
"""

from __future__ import annotations

import glob
import http.client
import io
import json
import os
import shutil
import socket
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from .namespaces import (
    ROOT,
    SYSTEM_PATH,
    Namespaces,
    NamespacesFailed,
    clean_after_others,
    end_holder,
    one_of,
    remove_directory,
    run,
    started,
    wait_for,
)

NAMES = [f"slipway-it-{number}" for number in range(1, 33)]
IMAGE = "slipway-test/busybox"
COMMANDS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "busybox": "busybox-static",
}
CAP_SYS_RESOURCE = 24

# Build machines often lack CAP_SYS_RESOURCE, and runc cannot hand out what it has not got.
RUNC_WRAPPER = """\
#!/bin/sh
for argument in "$@"; do
  case $previous in
    --bundle | -b) file=$argument/config.json ;;
    --process | -p) file=$argument ;;
    *) file= ;;
  esac
  if [ -f "$file" ]; then sed -i 's/"CAP_SYS_RESOURCE",//g; s/,"CAP_SYS_RESOURCE"//g' "$file"; fi
  previous=$argument
done
exec {runc} "$@"
"""


class EngineFailed(NamespacesFailed):
    """The private engine could not be started; the message says why."""


def has_capability(number: int) -> bool:
    """Say whether this process may do what the capability allows."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float = 60) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class ApiError(Exception):
    """The engine answered with an error; ``status`` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(f"{status}: {message}")


class Engine(Namespaces):
    """One dockerd in namespaces of its own.

    ``socket`` and ``url`` say where it answers.
    """

    failure = EngineFailed

    def __init__(self, name: str, options: Sequence[str] = ()) -> None:
        super().__init__(name)
        self.options = list(options)
        self.socket = str(self.directory / "docker.sock")
        self.url = f"unix://{self.socket}"
        self.base_images: set[str] = set()
        self._connection: UnixConnection | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the namespaces and start the daemon in them."""
        self.directory.mkdir(mode=0o700)
        (self.directory / "daemon.json").write_text("{}")  # the machine's own configuration is not meant for this one
        self.hold()
        self.start_daemon()

    def _daemon_command(self) -> list[str]:
        d = self.directory
        command = [
            "dockerd", "--config-file", f"{d}/daemon.json", "-H", self.url, "--data-root", f"{d}/data", "--exec-root", f"{d}/run",
            "--pidfile", f"{d}/pid", "--cgroup-parent", f"/{self.name}", "--exec-opt", "native.cgroupdriver=cgroupfs",
            "--containerd-namespace", self.name, "--containerd-plugins-namespace", f"{self.name}-plugins",
        ]  # fmt: skip
        if not has_capability(CAP_SYS_RESOURCE):
            wrapper = d / "runc"
            runc = shutil.which("runc", path=SYSTEM_PATH)
            wrapper.write_text(RUNC_WRAPPER.replace("{runc}", str(runc)))
            wrapper.chmod(0o755)
            command += ["--add-runtime", f"limited={wrapper}", "--default-runtime", "limited"]
        return command + self.options

    def start_daemon(self, *extra: str) -> None:
        """Start dockerd in the namespaces and wait until it answers; ``extra`` are further flags."""
        self.serve([*self._daemon_command(), *extra], self.directory / "log", 30)

    def stop_daemon(self, how: str = "TERM") -> None:
        """End dockerd, gracefully or with KILL; the namespaces stay."""
        pid = (self.directory / "pid").read_text().strip()
        self.close_connection()
        self.in_namespaces("kill", f"-{how}", pid)
        wait_for(lambda: not self.answers(), 30, "dockerd to end")
        wait_for(lambda: not self.runs(pid), 30, "dockerd to end")
        (self.directory / "pid").unlink(missing_ok=True)

    def signal_daemon(self, name: str) -> None:
        """Send a signal to dockerd: STOP and CONT freeze and thaw it."""
        self.in_namespaces("kill", f"-{name}", (self.directory / "pid").read_text().strip())

    def stop(self) -> None:
        """End everything and remove every trace."""
        self.close_connection()
        self.end()
        clean(self.name)

    def answers(self) -> bool:
        """Say whether the daemon answers a ping."""
        try:
            connection = UnixConnection(self.socket, timeout=5)
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def log(self, lines: int = 5) -> str:
        """Return the last lines of the daemon's log."""
        return " | ".join((self.directory / "log").read_text(errors="replace").splitlines()[-lines:])

    def run_cli(self, *arguments: str, check: bool = True, input: str | bytes | None = None) -> str:
        """Run the docker CLI against this engine; return its output without the last newline."""
        return run(["docker", "--host", self.url, *arguments], check=check, input=input)

    # -- the API, to look and to clean up --------------------------------------------------------------------------

    def api(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Make one call; return the decoded answer, raise ApiError on an error."""
        if query:
            path += "?" + urlencode(query)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        for again in (True, False):
            if self._connection is None:
                self._connection = UnixConnection(self.socket)
            try:
                self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                answer = self._connection.getresponse()
                content = answer.read()
                break
            except (OSError, http.client.HTTPException):
                self.close_connection()
                if not again:
                    raise
        if answer.status >= 400:
            raise ApiError(answer.status, content.decode(errors="replace"))
        kind = answer.getheader("Content-Type") or ""
        return json.loads(content) if content and "json" in kind else content

    def close_connection(self) -> None:
        """Forget the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def inspect(self, kind: str, name: str) -> dict | None:
        """Return what `docker inspect` shows of a container, network, volume or image; None when there is none."""
        paths = {
            "container": "/containers/%s/json",
            "network": "/networks/%s",
            "volume": "/volumes/%s",
            "image": "/images/%s/json",
        }
        try:
            return self.api("GET", paths[kind] % quote(name, safe=":/"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind that are not the engine's own, sorted."""
        if kind == "container":
            return sorted(item["Names"][0].lstrip("/") for item in self.api("GET", "/containers/json", all=1))
        if kind == "network":
            return sorted(
                item["Name"] for item in self.api("GET", "/networks") if item["Name"] not in ("bridge", "host", "none")
            )
        if kind == "volume":
            return sorted(item["Name"] for item in self.api("GET", "/volumes").get("Volumes") or ())
        return sorted(tag for item in self.api("GET", "/images/json") for tag in _tags(item))

    def snapshot(self) -> dict[str, list]:
        """Return what exists, with IDs and states: equal before and after when nothing was touched."""
        containers = [
            (item["Id"], sorted(item["Names"]), item["State"]) for item in self.api("GET", "/containers/json", all=1)
        ]
        networks = [
            (item["Id"], item["Name"], sorted(item["Containers"] or ())) for item in self.api("GET", "/networks")
        ]
        images = [(item["Id"], sorted(item["RepoTags"] or ())) for item in self.api("GET", "/images/json")]
        return {
            "containers": sorted(containers),
            "networks": sorted(networks),
            "volumes": self.names("volume"),
            "images": sorted(images),
        }

    def keep_images(self) -> None:
        """Declare the images there are now as the ones every test may expect."""
        self.base_images = set(self.names("image"))

    def clean(self) -> None:
        """Remove every container, network, volume and image that a test has made."""
        for item in self.api("GET", "/containers/json", all=1):
            with suppress(ApiError):
                self.api("DELETE", f"/containers/{item['Id']}", force=1, v=1)
        for name in self.names("network"):
            with suppress(ApiError):
                self.api("DELETE", f"/networks/{name}")
        for name in self.names("volume"):
            with suppress(ApiError):
                self.api("DELETE", f"/volumes/{name}", force=1)
        for item in self.api("GET", "/images/json"):
            tags = _tags(item)
            for reference in [tag for tag in tags if tag not in self.base_images] or ([] if tags else [item["Id"]]):
                with suppress(ApiError):
                    self.api("DELETE", f"/images/{quote(reference, safe=':/')}", force=1)

    # -- images ----------------------------------------------------------------------------------------------------

    def import_busybox(self, reference: str, *changes: str) -> str:
        """Import an image of nothing but a static busybox; ``changes`` are Dockerfile instructions. Return its ID."""
        arguments = [part for change in ('CMD ["sh"]', *changes) for part in ("--change", change)]
        return self.run_cli("import", *arguments, "-", reference, input=busybox_tar())

    def import_test_images(self) -> None:
        """Make the images that all tests share: two versions of a plain one, and one that brings settings of its own."""
        self.import_busybox(f"{IMAGE}:1", "ENV VERSION=1")
        self.import_busybox(f"{IMAGE}:2", "ENV VERSION=2")
        self.import_busybox(
            "slipway-test/app:1", "ENV FROM_IMAGE=yes", "LABEL from.image=yes", "EXPOSE 80/tcp", "WORKDIR /srv", "VOLUME /data",
            'ENTRYPOINT ["/bin/sh", "-c"]', 'CMD ["trap \'exit 0\' TERM; sleep 1000 & wait"]',
        )  # fmt: skip
        self.keep_images()


def _tags(image: dict) -> list[str]:
    """An image's names; engines show one that has none as <none>:<none>."""
    return [tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"]


_BUSYBOX: list[bytes] = []


def busybox_tar() -> bytes:
    """A root file system: busybox, a link per applet, and the few files that programs expect."""
    if not _BUSYBOX:
        path = shutil.which("busybox", path=SYSTEM_PATH)
        assert path
        applets = run([path, "--list"]).split()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in ("bin", "etc", "tmp", "srv", "var"):
                _member(tar, name, tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
            _member(tar, "bin/busybox", content=Path(path).read_bytes(), mode=0o755)
            for applet in applets:
                if applet != "busybox":
                    _member(tar, f"bin/{applet}", tarfile.SYMTYPE, link="busybox")
            _member(tar, "etc/passwd", content=b"root:x:0:0:root:/:/bin/sh\nwww:x:1000:1000:www:/srv:/bin/sh\n")
            _member(tar, "etc/group", content=b"root:x:0:\nwww:x:1000:\n")
        _BUSYBOX.append(buffer.getvalue())
    return _BUSYBOX[0]


def _member(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes = tarfile.REGTYPE,
    content: bytes = b"",
    mode: int = 0o644,
    link: str = "",
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, link, len(content)
    tar.addfile(info, io.BytesIO(content))


# -- debris ------------------------------------------------------------------------------------------------------------


def _cgroups(name: str) -> list[str]:
    return glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")


def clean(name: str) -> None:
    """Remove what an engine of this name has left: its holder, its cgroups, its directory."""
    end_holder(name)

    def removed() -> bool:
        for top in _cgroups(name):
            for directory, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    os.rmdir(directory)
        return not _cgroups(name)

    wait_for(removed, 15, f"the cgroups of {name} to be free")
    remove_directory(name)


def clean_leftovers() -> list[str]:
    """Clean up after every earlier run that no longer lives; return the names that were found."""
    return clean_after_others(NAMES, lambda name: (ROOT / name).exists() or _cgroups(name), clean)


@contextmanager
def private_engine(*options: str) -> Iterator[Engine]:
    """A running engine under a free name; ``options`` are further flags of dockerd."""
    with one_of(NAMES, "engine", COMMANDS, clean_leftovers) as name, started(Engine(name, options)) as engine:
        yield engine
