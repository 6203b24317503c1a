# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`hardening: cis` against a real engine: what section 5 of the CIS Docker Benchmark audits is read from `docker inspect`.

The table has the checks of docker-bench-security 1.6.0 that are automated and fit a single container: all of section 5 but those of the
engine and its kernel (5.1 swarm, 5.2 AppArmor, 5.3 SELinux), those that the exam leaves to a person (5.9, 5.18, 5.19, 5.24, 5.28, 5.30), and 5.23,
of which nothing is left to be seen. Where that tool reads the benchmark otherwise, the benchmark has it: 1024 is no privileged port (5.8), `::` is every
address (5.14), `always` has no limit (5.15). https://github.com/docker/docker-bench-security/blob/v1.6.0/tests/5_container_runtime.sh
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness.engine import IMAGE, Engine
from harness.task import STAYS, Task

SERVES = ["httpd", "-f", "-p", "8000", "-h", "/etc"]
WELL = {"test": "wget -q -O /dev/null http://127.0.0.1:8000/group", "interval": "200ms", "retries": 50}
DEMANDED = {"user": "1000:1000", "memory": "32m", "cpus": 0.5, "healthcheck": WELL}
USUAL = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP",
    "SETUID", "SYS_CHROOT",
}  # fmt: skip
SENSITIVE = {"/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"}


def host(document: dict, key: str) -> Any:
    return document["HostConfig"][key]


def bound(document: dict) -> Iterator[dict]:
    """What is really bound, not what was asked for."""
    for bindings in document["NetworkSettings"]["Ports"].values():
        yield from bindings or ()


def security(document: dict) -> str:
    return " ".join(host(document, "SecurityOpt") or ()).replace(":", "=")


# fmt: off
CHECKS: list[tuple[str, str, Callable[[dict], bool]]] = [
    ("5.4", "Linux kernel capabilities are restricted", lambda d: {cap.removeprefix("CAP_") for cap in host(d, "CapAdd") or ()} <= USUAL),
    ("5.5", "it is not privileged", lambda d: not host(d, "Privileged")),
    ("5.6", "no sensitive host directories are mounted", lambda d: not any(m.get("Source") in SENSITIVE and m["RW"] for m in d["Mounts"])),
    ("5.7", "sshd is not run", lambda d: not any("sshd" in word for line in d["Processes"] for word in line)),
    ("5.8", "privileged ports are not mapped", lambda d: all(int(item["HostPort"]) >= 1024 for item in bound(d))),
    ("5.10", "the host's network namespace is not shared", lambda d: host(d, "NetworkMode") != "host"),
    ("5.11", "its memory is limited", lambda d: host(d, "Memory") > 0),
    ("5.12", "its CPU priority is set", lambda d: bool(host(d, "CpuShares") or host(d, "NanoCpus"))),
    ("5.13", "its root filesystem is read-only", lambda d: host(d, "ReadonlyRootfs")),
    ("5.14", "incoming traffic is bound to a specific host interface", lambda d: not any(item["HostIp"] in ("0.0.0.0", "::", "") for item in bound(d))),
    ("5.15", "it is restarted 5 times at most", lambda d: host(d, "RestartPolicy")["Name"] != "always" and host(d, "RestartPolicy")["MaximumRetryCount"] <= 5),
    ("5.16", "the host's process namespace is not shared", lambda d: host(d, "PidMode") != "host"),
    ("5.17", "the host's IPC namespace is not shared", lambda d: host(d, "IpcMode") != "host"),
    ("5.20", "mount propagation is not shared", lambda d: not any("shared" in m.get("Propagation", "") for m in d["Mounts"])),
    ("5.21", "the host's UTS namespace is not shared", lambda d: host(d, "UTSMode") != "host"),
    ("5.22", "the default seccomp profile is not disabled", lambda d: "seccomp=unconfined" not in security(d)),
    ("5.25", "its cgroup is the engine's", lambda d: not host(d, "CgroupParent")),
    ("5.26", "it cannot acquire additional privileges", lambda d: "no-new-privileges" in security(d) and "no-new-privileges=false" not in security(d)),
    ("5.27", "its health is checked", lambda d: "Health" in d["State"]),
    ("5.29", "the number of its processes is limited", lambda d: (host(d, "PidsLimit") or 0) > 0),
    ("5.31", "the host's user namespace is not shared", lambda d: host(d, "UsernsMode") != "host"),
    ("5.32", "the Docker socket is not mounted", lambda d: not any("docker.sock" in str(m) for m in d["Mounts"])),
]
# fmt: on


def failing(engine: Engine, name: str) -> list[str]:
    """The checks that a running container does not pass."""
    document = engine.inspect("container", name)
    assert document and document["State"]["Running"]
    document["Processes"] = engine.api("GET", f"/containers/{name}/top")["Processes"]
    assert document["Processes"]
    return [item for item, _title, passes in CHECKS if not passes(document)]


def web(**options: Any) -> dict:
    return {
        "name": "web", "image": f"{IMAGE}:1", "command": SERVES, "ports": ["8080:8000"], "networks": [{"name": "front"}], "stop_timeout": 1,
        "state": "healthy", **DEMANDED, **options,
    }  # fmt: skip


def app(*containers: dict, **options: Any) -> dict:
    return {"project": "shop", "networks": [{"name": "front"}], "containers": list(containers), **options}


def test_there_are_as_many_checks_as_fit() -> None:
    assert len({item for item, _title, _passes in CHECKS}) == len(CHECKS) == 22


def test_a_hardened_container_passes_them_all_and_serves(task: Task, engine: Engine) -> None:
    done = task.change("containers", **app(web(), hardening="cis"))
    assert done["exceptions"] == []
    assert not done.warned
    assert failing(engine, "web") == []
    assert engine.inspect("container", "web")["State"]["Health"]["Status"] == "healthy"
    assert "www:x:1000:" in engine.in_namespaces("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/group")


def test_it_has_the_rights_that_inspect_shows(task: Task, engine: Engine) -> None:
    task("containers", **app(web(), hardening="cis")).ok()
    status = dict(line.split(":\t", 1) for line in engine.run_cli("exec", "web", "cat", "/proc/1/status").splitlines())
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split()[0] == "1000"
    refused = engine.run_cli("exec", "web", "sh", "-c", "echo x > /tmp/x || echo refused", check=False)
    assert refused.endswith("refused")


def test_a_plain_container_passes_fifteen(engine: Engine) -> None:
    engine.run_cli("run", "-d", "--name", "plain", "-p", "8080:8000", f"{IMAGE}:1", *SERVES)
    assert failing(engine, "plain") == ["5.11", "5.12", "5.13", "5.14", "5.26", "5.27", "5.29"]


def test_one_container_has_the_option_too(task: Task, engine: Engine) -> None:
    options = {name: value for name, value in web(hardening="cis").items() if name != "networks"}
    assert task.change("container", **options)["exceptions"] == []
    assert failing(engine, "web") == []


def test_it_is_switched_on_and_off_as_foretold(task: Task, engine: Engine) -> None:
    task("containers", **app(web())).ok()
    before = engine.inspect("container", "web")
    (line,) = task.change("containers", **app(web(), hardening="cis"))["plan"]
    for field in (
        "cap_drop: [] -> [ALL]",
        "pids_limit: 0 -> 256",
        "published_ports: [8080:8000] -> [127.0.0.1:8080:8000]",
        "read_only: false -> true",
        "restart_policy: no -> on-failure",
        "restart_retries: 0 -> 5",
        "security_opts: [] -> [no-new-privileges]",
    ):
        assert field in line
    assert failing(engine, "web") == []
    (line,) = task.change("containers", **app(web()))["plan"]
    assert line.count("no longer said") == 6
    after = engine.inspect("container", "web")
    for document in (before, after):
        document["HostConfig"].pop("ContainerIDFile", None)
    assert after["HostConfig"] == before["HostConfig"]


@pytest.mark.parametrize(
    ("drift", "line"),
    [
        ("--pids-limit 4096", "~ container/web   pids_limit: 4096 -> 256"),
        ("--restart always", "~ container/web   restart_policy: always -> on-failure; restart_retries: 0 -> 5"),
    ],
)
def test_what_it_filled_in_is_compared(task: Task, engine: Engine, drift: str, line: str) -> None:
    task("containers", **app(web(), hardening="cis")).ok()
    engine.run_cli("update", *drift.split(), "web")
    assert task.change("containers", **app(web(), hardening="cis"))["plan"] == [line]
    assert failing(engine, "web") == []


def test_what_is_missing_is_said_at_once_and_nothing_is_touched(task: Task) -> None:
    bare = {"image": f"{IMAGE}:1", "command": STAYS}
    message = task.refused(
        "containers",
        **app(
            {**bare, "name": "one", "privileged": True, "volumes": ["/var/run/docker.sock:/s", "/:/host:ro"]},
            {**bare, "name": "two", "network_mode": "host", "restart": "always", "hardening_allow": {"memory": ""}},
            hardening="cis",
        ),
    )
    found = [line.partition(": ")[0].removeprefix("- ") for line in message.splitlines()[1:]]
    one = ["cpus", "healthcheck", "memory", "privileged", "user", "volumes", "volumes"]
    two = ["cpus", "hardening_allow.memory", "healthcheck", "network_mode", "restart_policy", "user"]
    assert found == [f"containers.one.{name}" for name in one] + [f"containers.two.{name}" for name in two]
    assert "hardening_allow.docker_socket" in message and "hardening_allow.host_directories" in message


def test_an_exception_holds_for_one_thing_and_is_told(task: Task, engine: Engine) -> None:
    needs = {"capabilities": ["NET_ADMIN"], "user": "root", "ports": ["0.0.0.0:8080:8000", "8081:8001"]}
    reasons = {
        "capabilities": "it makes a tunnel",
        "user": "only root may",
        "all_addresses": "the site is public",
        "privileged": "not any more",
    }
    done = task.change("containers", **app(web(**needs, hardening_allow=reasons), hardening="cis"))
    assert done["exceptions"] == [
        'containers.web.user: "root" is root (hardening: cis, 4.1), allowed: only root may',
        "containers.web.capabilities: NET_ADMIN is more than an engine gives by itself (hardening: cis, 5.4), allowed: it makes a tunnel",
        'containers.web.published_ports: "0.0.0.0:8080:8000" can be reached on every address of the host (hardening: cis, 5.14), '
        "allowed: the site is public",
    ]
    assert done.warned == ["containers.web.hardening_allow.privileged: nothing needs this exception; take it out"]
    assert failing(engine, "web") == ["5.4", "5.14"]
    assert engine.inspect("container", "web")["HostConfig"]["PortBindings"]["8001/tcp"][0]["HostIp"] == "127.0.0.1"
