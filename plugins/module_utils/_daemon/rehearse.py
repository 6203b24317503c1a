# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A daemon is started with a configuration where nobody sees it, and ended again. Nothing is decided here.

It has its own mounts, network and processes, its own /run and /etc/docker, and a data root on the file system of the real one, so that the
real daemon and its containers notice nothing. `dockerd --validate` (from 23.0 on) comes first, for it is quick, but it knows less than a
start does (moby#48979, moby#50240).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from .._converge.errors import EngineError
from . import flags as flag
from .api import Api, wait
from .document import encode
from .flags import Flag
from .keys import LOG_OPTS
from .process import environment, last_words, run

LEFT = ".engine-rehearsal."  # how the directories of rehearsals begin
STALE = 3600.0  # seconds after which one must be of a run that was killed
# Places and addresses hold on the real host alone, plugins and a containerd that serves others are not there.
UNREHEARSED = (
    "authorization-plugins",
    "containerd",
    "containerd-namespace",
    "data-root",
    "exec-root",
    "hosts",
    "metrics-addr",
    "pidfile",
)
UNREHEARSED_FLAGS = (
    "authorization-plugin",
    "config-file",
    "containerd",
    "containerd-namespace",
    "containerd-plugins-namespace",
    "data-root",
    "exec-root",
    "host",
    "metrics-addr",
    "pidfile",
    "cgroup-parent",
)
# The container of a rehearsal has a runtime that does nothing, so that not even a control group is made for it.
RUNTIME = "slipway-rehearsal"
# $1: the directory; the rest: the daemon's words. The daemon writes to /etc/docker, and for user namespaces to all of /etc. A bridge of the host
# that it is told to use is there by its name and addresses.
SCRIPT = """
work=$1; shift
mount --bind "$work/etc" "$ETC" && mount -t tmpfs tmpfs /run || exit 125
ip link set lo up 2>/dev/null
if [ -n "$BRIDGE" ]; then
  ip link add name "$BRIDGE" type bridge
  for address in $ADDRESSES; do ip address add "$address" dev "$BRIDGE"; done
  ip link set "$BRIDGE" up
fi 2>/dev/null
exec "$@"
"""


def validate(program: str, document: Mapping[str, Any], flags: Sequence[Flag], seconds: float) -> str:
    """What `dockerd --validate` says is wrong; empty when it takes the document."""
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        path = os.path.join(folder, "daemon.json")
        with open(path, "wb") as file:
            file.write(encode(document))
        words = [word for item in flags if item.name != "config-file" for word in item.words]
        done = run([program, "--validate", "--config-file", path, *words], seconds)
        if done.returncode == 0:
            return ""
        said = last_words(done.stderr.decode(errors="replace").splitlines())
        return (said or f"exit {done.returncode}").replace(path, "daemon.json")


def possible() -> str:
    """Why no rehearsal can be held here; empty when one can."""
    if os.geteuid() != 0:
        return "that needs root"
    if not shutil.which("unshare", path=environment()["PATH"]):
        return "unshare (util-linux) is not here"
    return ""


def rehearsed(document: Mapping[str, Any], plugins: Sequence[str] = ()) -> dict[str, Any]:
    """What of a document can be rehearsed. ``plugins``: log drivers that are not the daemon's own, and not there either."""
    kept = {name: value for name, value in document.items() if name not in UNREHEARSED}
    if kept.get("log-driver") in plugins:
        kept = {name: value for name, value in kept.items() if not name.startswith("log-")}
    return kept


def listening(document: Mapping[str, Any], socket: str) -> list[str]:
    """Where the rehearsed daemon listens: at a socket of its own, and for each TCP host at the loopback of its own network."""
    hosts = document.get("hosts") if isinstance(document.get("hosts"), list) else []
    ports = [host.rpartition(":")[2].rstrip("/") for host in hosts if host.startswith("tcp://")]
    tcp = [f"tcp://127.0.0.1:{port if port.isdigit() else 2376}" for port in dict.fromkeys(ports)]
    others = [host for host in hosts if not host.startswith(("tcp://", "unix://", "fd://"))]
    return [f"unix://{socket}", *tcp, *others]


def rehearse(
    program: str,
    document: Mapping[str, Any],
    flags: Sequence[Flag],
    data_root: str,
    seconds: float,
    plugins: Sequence[str] = (),
) -> str:
    """What a daemon with this document ends with; empty when it comes up and makes a container."""
    near = place(data_root, _remaps(document, flags))
    _clear(near)
    work = tempfile.mkdtemp(prefix=LEFT, dir=near)
    talk = tempfile.mkdtemp(prefix="slipway-", dir="/tmp")  # short: the path of a socket holds 107 characters
    os.chmod(work, 0o711)  # user namespaces must be able to pass
    try:
        return _rehearse(work, talk, program, document, flags, seconds, plugins)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(talk, ignore_errors=True)


def place(data_root: str, remaps: bool) -> str:
    """Where there is room for another data root: on the file system of the real one, and where user namespaces can pass."""
    real = os.path.realpath(data_root)
    if os.path.ismount(real):
        about = os.stat(real)
        # The daemon gives its data root to the group of a user namespace, and to nobody else.
        if not remaps or about.st_mode & 0o001 or (about.st_gid and about.st_mode & 0o010):
            return real
    near = os.path.dirname(real)
    while not os.path.isdir(near):
        near = os.path.dirname(near)
    return near


def _remaps(document: Mapping[str, Any], flags: Sequence[Flag]) -> bool:
    return bool(document.get("userns-remap") or flag.value_of(flags, "userns-remap"))


def _rehearse(
    work: str,
    talk: str,
    program: str,
    document: Mapping[str, Any],
    flags: Sequence[Flag],
    seconds: float,
    plugins: Sequence[str],
) -> str:
    socket = os.path.join(talk, "sock")
    config, log = os.path.join(work, "daemon.json"), os.path.join(work, "log")
    kept = rehearsed(document, plugins)
    flags = [item for item in flags if item.name not in UNREHEARSED_FLAGS]
    if not shutil.which("ip", path=environment()["PATH"]):  # a bridge can neither be looked at nor made
        kept.pop("bridge", None)
        flags = [item for item in flags if item.name != "bridge"]
    with open(config, "wb") as file:
        file.write(encode({**kept, "hosts": listening(document, socket)}))
    etc = "/etc" if _remaps(kept, flags) or not os.path.isdir("/etc/docker") else "/etc/docker"
    run(["cp", "-a", etc, os.path.join(work, "etc")], seconds)
    words = [program, "--config-file", config, "--data-root", f"{work}/data", "--exec-root", "/run/rehearsal"]
    words += [
        "--pidfile",
        "/run/rehearsal.pid",
        "--add-runtime",
        f"{RUNTIME}={shutil.which('false', path=environment()['PATH'])}",
    ]
    words += [word for item in flags for word in item.words]
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        SCRIPT,
        "sh",
        work,
        *words,
    ]
    bridge, addresses = host_bridge(str(kept.get("bridge") or flag.value_of(flags, "bridge")), seconds)
    with open(log, "wb") as file:
        daemon = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**environment(), "ETC": etc, "BRIDGE": bridge, "ADDRESSES": " ".join(addresses)},
            start_new_session=True,
        )
    try:
        # What others write to a network or a journal cannot be reached from here; the daemon has looked at their options by then.
        starts = (kept.get("log-driver") or flag.value_of(flags, "log-driver", "json-file")) in LOG_OPTS
        said = _try(daemon, Api(socket, seconds), log, seconds, starts)
        return said.replace(config, "daemon.json").replace(work, "...")
    finally:
        daemon.kill()
        daemon.wait()
        # Mounts and processes go with the namespaces, a moment after their first process.
        wait(lambda: _free(work), 5)


def host_bridge(name: str, seconds: float) -> tuple[str, list[str]]:
    """(the name, its addresses, each with its network) of a bridge that this host has; nothing when it has none of that name."""
    if not name or not run(["ip", "-oneline", "link", "show", "dev", name, "type", "bridge"], seconds).stdout:
        return "", []
    said = run(["ip", "-oneline", "address", "show", "dev", name, "scope", "global"], seconds)
    return name, re.findall(r" inet6? (\S+/\d+)", said.stdout.decode(errors="replace"))


def _try(daemon: subprocess.Popen, api: Api, log: str, seconds: float, starts: bool) -> str:
    def words() -> str:
        with open(log, encoding="utf-8", errors="replace") as file:
            return last_words(file.read().splitlines())

    if not wait(lambda: daemon.poll() is not None or api.answers(), seconds):
        return words() or f"no answer after {seconds:g} s"
    if daemon.poll() is not None:
        return words() or f"it ended with status {daemon.returncode}"
    try:
        # The daemon looks at the log driver and the names of its options when it makes a container.
        api.call("POST", "/images/create", b"\0" * 1024, fromSrc="-", repo="rehearsal")
        host = {"NetworkMode": "none", "Runtime": RUNTIME}
        made = api.call("POST", "/containers/create", {"Image": "rehearsal", "Cmd": ["/nothing"], "HostConfig": host})
    except EngineError as error:
        return f"it makes no container: {error}"
    if not starts:
        return ""
    try:
        api.call("POST", f"/containers/{made['Id']}/start")
    except EngineError as error:
        # It looks at the values of the log driver's options as it starts one. That nothing can be started here is meant.
        if "logging driver" in str(error):
            return f"it starts no container: {error}"
    return ""


def _free(work: str) -> bool:
    """Whether nobody writes there any more: the whole of it can be removed."""
    shutil.rmtree(os.path.join(work, "data"), ignore_errors=True)
    return not os.path.exists(os.path.join(work, "data"))


def _clear(near: str) -> None:
    """Remove what killed rehearsals have left."""
    with suppress(OSError):
        for name in os.listdir(near):
            path = os.path.join(near, name)
            if name.startswith(LEFT) and time.time() - os.stat(path).st_mtime > STALE:
                shutil.rmtree(path, ignore_errors=True)
