# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private, real dockerd that leaves the machine as it found it.

Everything the daemon makes (bridges, firewall rules, mounts, processes) lives in namespaces that end with one process,
the holder, and the holder ends with the test run, however that ends. What can be left of a killed run is a directory
and some empty cgroups; the next run removes them first.
"""

from __future__ import annotations

import ctypes
import glob
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

NAMES = [f"slipway-it-{number}" for number in range(1, 33)]
ROOT = Path("/var/tmp")  # short: the path of a unix socket holds 107 characters
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
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

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

# The first process of a process namespace inherits every orphan; a shell that waits takes them off the table.
HOLDER = "trap : TERM INT; echo ready; while :; do sleep 3600 & wait; done"


class EngineFailed(Exception):
    """The private engine could not be started; the message says why."""


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true value of ``condition``; raise TimeoutError naming ``what`` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def missing_commands(wanted: dict[str, str] = COMMANDS) -> list[str]:
    """Return the Debian packages to install before an engine can be started here."""
    return sorted({package for command, package in wanted.items() if not shutil.which(command, path=SYSTEM_PATH)})


def has_capability(number: int) -> bool:
    """Say whether this process may do what the capability allows."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def _end_with_parent() -> None:
    """Ask the kernel to kill this process when the test run ends, in whatever way."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


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


class Engine:
    """One dockerd in namespaces of its own.

    ``socket`` and ``url`` say where it answers; ``directory`` holds all that it writes.
    """

    def __init__(self, name: str, options: Sequence[str] = ()) -> None:
        self.name = name
        self.options = list(options)
        self.directory = ROOT / name
        self.socket = str(self.directory / "docker.sock")
        self.url = f"unix://{self.socket}"
        self.base_images: set[str] = set()
        self._holder: subprocess.Popen | None = None
        self._init = 0
        self._connection: UnixConnection | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the namespaces and start the daemon in them."""
        self.directory.mkdir(mode=0o700)
        (self.directory / "daemon.json").write_text("{}")  # the machine's own configuration is not meant for this one
        self._hold()
        self.start_daemon()

    def _hold(self) -> None:
        # unshare keeps /sys as it is; a fresh one would hide the cgroups from the daemon.
        command = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen(
            [*command, "sh", "-c", HOLDER, self.name], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            preexec_fn=_end_with_parent, start_new_session=True, text=True,
        )  # fmt: skip
        assert self._holder.stdout
        if self._holder.stdout.readline() != "ready\n":
            raise EngineFailed("this machine does not allow new namespaces (unshare failed); run as root")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._init = int(children[0])
        self.in_namespaces("ip", "link", "set", "lo", "up")
        self.in_namespaces("hostname", self.name)

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
        with open(self.directory / "log", "ab") as log:
            daemon = self.spawn([*self._daemon_command(), *extra], stdout=log, stderr=log)

        def answers() -> bool:
            if daemon.poll() is not None:
                raise EngineFailed(f"dockerd ended: {self.log()}")
            return self.answers()

        try:
            wait_for(answers, 30, "dockerd to answer")
        except TimeoutError as error:
            raise EngineFailed(f"{error}: {self.log()}") from error

    def stop_daemon(self, how: str = "TERM") -> None:
        """End dockerd, gracefully or with KILL; the namespaces stay."""
        pid = (self.directory / "pid").read_text().strip()
        self.close_connection()
        self.in_namespaces("kill", f"-{how}", pid)
        wait_for(lambda: not self.answers(), 30, "dockerd to end")
        wait_for(lambda: not self._runs(pid), 30, "dockerd to end")
        (self.directory / "pid").unlink(missing_ok=True)

    def signal_daemon(self, name: str) -> None:
        """Send a signal to dockerd: STOP and CONT freeze and thaw it."""
        self.in_namespaces("kill", f"-{name}", (self.directory / "pid").read_text().strip())

    def _runs(self, pid: str) -> bool:
        state = self.in_namespaces("sh", "-c", f"cut -d ' ' -f 3 /proc/{pid}/stat || true", check=False).strip()
        return state not in ("", "Z")

    def stop(self) -> None:
        """End everything and remove every trace."""
        self.close_connection()
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            if self._holder.stdout:
                self._holder.stdout.close()
            self._holder = None
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

    # -- processes beside it ---------------------------------------------------------------------------------------

    def enter(self, *command: str, pid: bool = True) -> list[str]:
        """Return the command line that runs ``command`` in the engine's namespaces (without ``pid``: its network only)."""
        which = ["--mount", "--net", "--uts", "--ipc", "--pid"] if pid else ["--net"]
        return ["nsenter", "--target", str(self._init), *which, "--", *command]

    def spawn(self, command: Sequence[str], **options: Any) -> subprocess.Popen:
        """Start a process that ends with the engine."""
        return subprocess.Popen(
            self.enter(*command), stdin=subprocess.DEVNULL, start_new_session=True, env={**_environment(), "PATH": SYSTEM_PATH}, **options
        )  # fmt: skip

    def in_namespaces(self, *command: str, check: bool = True) -> str:
        """Run a command as a process beside the daemon; return its output."""
        return _run(self.enter(*command), check=check)

    def in_netns(self, *command: str, check: bool = True) -> str:
        """Run a command in the engine's network, where published ports answer; return its output."""
        return _run(self.enter(*command, pid=False), check=check)

    def run_cli(self, *arguments: str, check: bool = True, input: str | bytes | None = None) -> str:
        """Run the docker CLI against this engine; return its output without the last newline."""
        return _run(["docker", "--host", self.url, *arguments], check=check, input=input)

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
        applets = _run([path, "--list"]).split()
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


def _environment() -> dict[str, str]:
    """The environment without what would point a docker client elsewhere."""
    return {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}


def _run(command: Sequence[str], check: bool = True, input: str | bytes | None = None) -> str:
    data = input.encode() if isinstance(input, str) else input
    source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    done = subprocess.run(
        command, capture_output=True, timeout=120, env={**_environment(), "PATH": SYSTEM_PATH}, check=False, **source
    )
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout.decode(errors="replace").rstrip("\n")


# -- debris ------------------------------------------------------------------------------------------------------------


def _claim(name: str) -> socket.socket | None:
    """Take a name for as long as this process lives; None when another run has it.

    An abstract socket leaves no file, and the kernel gives it back however the process ends.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0{name}")
    except OSError:
        claim.close()
        return None
    return claim


def _cgroups(name: str) -> list[str]:
    return glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")


def clean(name: str) -> None:
    """Remove what an engine of this name has left: its holder, its cgroups, its directory."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with suppress(OSError):
            words = Path(path).read_bytes().split(b"\0")[:-1]
            if words and words[-1] == name.encode() and HOLDER.encode() in words:
                os.kill(int(path.split("/")[2]), signal.SIGKILL)

    def removed() -> bool:
        for top in _cgroups(name):
            for directory, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    os.rmdir(directory)
        return not _cgroups(name)

    wait_for(removed, 15, f"the cgroups of {name} to be free")
    directory = ROOT / name

    def emptied() -> bool:
        shutil.rmtree(directory, ignore_errors=True)
        return not directory.exists()

    wait_for(emptied, 15, f"{directory} to be free")


def clean_leftovers() -> list[str]:
    """Clean up after every earlier run that no longer lives; return the names that were found."""
    found = []
    for name in NAMES:
        if not (ROOT / name).exists() and not _cgroups(name):
            continue
        claim = _claim(name)
        if claim is not None:
            with claim:
                clean(name)
                found.append(name)
    return found


@contextmanager
def private_engine(*options: str) -> Iterator[Engine]:
    """A running engine under a free name; ``options`` are further flags of dockerd."""
    if os.geteuid() != 0:
        raise EngineFailed("a private engine needs root")
    packages = missing_commands()
    if packages:
        raise EngineFailed(f"a private engine needs these packages: {' '.join(packages)}")
    clean_leftovers()
    for name in NAMES:
        claim = _claim(name)
        if claim is None:
            continue
        with claim:
            engine = Engine(name, options)
            try:
                engine.start()
                yield engine
            finally:
                engine.stop()
            return
    raise EngineFailed(f"all {len(NAMES)} names of private engines are in use")
