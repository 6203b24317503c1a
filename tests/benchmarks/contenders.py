# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is measured, and how each is asked for the same containers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import peers
from harness.engine import IMAGE
from harness.task import STAYS
from measure import Cost, Done, environment, timed

HERE = Path(__file__).parent
COLLECTIONS = HERE.parent.parent / "build" / "collections"
CREATE, NO_OP, CHANGE_ONE, SWITCH_ALL, REMOVE = OPERATIONS = ("create", "no-op", "change one", "switch all", "remove")
FORKS = 8  # as many as our module has workers

OURS = """
- name: Ours
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Converge
      slipway.docker.containers:
        project: bench
        docker_host: "{{ docker_host }}"
        state: "{{ 'absent' if absent else 'present' }}"
        containers: "{{ containers }}"
"""
IN_A_LOOP = """
- name: Community
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Converge
      community.docker.docker_container:
        docker_host: "{{ docker_host }}"
        name: "{{ item.name }}"
        image: "{{ item.image }}"
        command: "{{ item.command }}"
        env: "{{ item.env }}"
        memory: "{{ item.memory }}"
        restart_policy: "{{ item.restart_policy }}"
        state: "{{ 'absent' if absent else 'started' }}"
      loop: "{{ containers }}"
      loop_control:
        label: "{{ item.name }}"
"""
AT_ONCE = """
      async: 3600
      poll: 0
      register: launched
      changed_when: false
    - name: Wait for them
      ansible.builtin.async_status:
        jid: "{{ item.ansible_job_id }}"
      loop: "{{ launched.results }}"
      loop_control:
        label: "{{ item.item.name }}"
      register: job
      until: job is finished
      retries: 36000
      delay: 0.1
"""
A_HOST_EACH = """
- name: Community
  hosts: each
  gather_facts: false
  tasks:
    - name: Converge
      community.docker.docker_container:
        docker_host: "{{ docker_host }}"
        name: "{{ containers[index | int].name }}"
        image: "{{ containers[index | int].image }}"
        command: "{{ containers[index | int].command }}"
        env: "{{ containers[index | int].env }}"
        memory: "{{ containers[index | int].memory }}"
        restart_policy: "{{ containers[index | int].restart_policy }}"
        state: "{{ 'absent' if absent else 'started' }}"
"""


def specs(count: int) -> list[dict]:
    """What all of them are asked for."""
    common = {"image": f"{IMAGE}:1", "command": STAYS, "memory": "32m", "restart_policy": "unless-stopped"}
    return [
        {"name": f"bench-{number:03d}", **common, "env": {"NUMBER": str(number), "LEVEL": "info"}}
        for number in range(count)
    ]


def wanted(operation: str, count: int) -> list[dict]:
    """The containers after an operation; each operation begins where the one before it ended."""
    found = specs(count)
    if operation in (CHANGE_ONE, SWITCH_ALL, REMOVE):
        found[0]["env"]["LEVEL"] = "debug"
    if operation in (SWITCH_ALL, REMOVE):
        found = [{**spec, "image": f"{IMAGE}:2"} for spec in found]
    return found


@dataclass(frozen=True)
class Place:
    """Where a run happens: the engine's address, a directory of its own, and the programs of the environment."""

    url: str
    directory: Path
    programs: Path

    def program(self, name: str) -> str:
        """The path of one of the environment's programs."""
        return str(self.programs / name)


@dataclass(frozen=True)
class Contender:
    """One who is measured; ``peer``: slow, so measured on fewer containers where the options say so."""

    key: str
    name: str
    peer: bool = False

    def run(self, place: Place, operation: str, containers: Sequence[Mapping]) -> Cost:
        """Do the operation in a process of its own; end everything when it did not do what was meant."""
        raise NotImplementedError


def ansible(place: Place, program: str, *arguments: str, pipelining: bool = True) -> Done:
    """Run one of Ansible's programs against this machine."""
    environ = environment(
        ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
        ANSIBLE_PIPELINING=str(pipelining),
        ANSIBLE_HOME=str(place.directory / "ansible"),
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
        ANSIBLE_NOCOLOR="true",
    )
    interpreter = f"ansible_python_interpreter={place.program('python')}"
    command = [place.program(program), "--connection", "local", "--extra-vars", interpreter, *arguments]
    return timed(command, environ, place.directory)


class Ping(Contender):
    """What Ansible costs by itself."""

    def run(self, place: Place, operation: str, containers: Sequence[Mapping]) -> Cost:
        """Reach the machine, do nothing."""
        return ansible(place, "ansible", "--inventory", "localhost,", "--module-name", "ping", "localhost").cost


@dataclass(frozen=True)
class Playbook(Contender):
    """A playbook of one task, given all containers."""

    text: str = OURS
    pipelining: bool = True
    a_host_each: bool = False

    def run(self, place: Place, operation: str, containers: Sequence[Mapping]) -> Cost:
        """Run it, and see that it changed something exactly where something was to be changed."""
        count = len(containers)
        given = {"docker_host": place.url, "containers": containers, "absent": operation == REMOVE}
        inventory = "localhost,"
        if self.a_host_each:
            hosts = {f"host{number}": {"index": number} for number in range(count)}
            (place.directory / "hosts.json").write_text(json.dumps({"each": {"hosts": hosts}}))
            inventory = "hosts.json"
        (place.directory / "play.yml").write_text(self.text)
        (place.directory / "vars.json").write_text(json.dumps(given))
        done = ansible(
            place, "ansible-playbook", "--inventory", inventory, "--forks", str(FORKS), "--extra-vars", "@vars.json", "play.yml",
            pipelining=self.pipelining,
        )  # fmt: skip
        changed = any(int(number) for number in re.findall(r"\bchanged=(\d+)", done.output))
        if changed != (operation != NO_OP):
            raise SystemExit(
                f"{self.name}, {operation}: changed is {changed}, so this is not the run that was meant:\n{done.output[-2000:]}"
            )
        return done.cost


class Compose(Contender):
    """Docker Compose, given the same as a file."""

    def run(self, place: Place, operation: str, containers: Sequence[Mapping]) -> Cost:
        """Bring the project up, or take it down."""
        (place.directory / "compose.json").write_text(compose_file(containers))
        what = ["down"] if operation == REMOVE else ["up", "--detach", "--quiet-pull"]
        command = [peers.compose(), "--file", "compose.json", *what]
        return timed(command, environment(DOCKER_HOST=place.url), place.directory).cost


def compose_file(containers: Sequence[Mapping]) -> str:
    """The containers as a Compose file, which doubles a dollar sign and calls two options otherwise."""
    services = {
        item["name"]: {
            "image": item["image"],
            "command": [word.replace("$", "$$") for word in item["command"]],
            "container_name": item["name"],
            "environment": item["env"],
            "mem_limit": item["memory"],
            "restart": item["restart_policy"],
            "network_mode": "bridge",
        }
        for item in containers
    }
    return json.dumps({"name": "bench", "services": services})


class Floor(Contender):
    """Nothing but the calls; see floor.py."""

    def run(self, place: Place, operation: str, containers: Sequence[Mapping]) -> Cost:
        """Make the calls of an operation; the seconds are those between the first and the last."""
        names = [spec["name"] for spec in containers]
        replaced = {CHANGE_ONE: names[:1], SWITCH_ALL: names}.get(operation, [])
        task = json.dumps({"containers": containers, "replace": replaced})
        command = [sys.executable, str(HERE / "floor.py"), place.url.removeprefix("unix://"), operation]
        done = timed(command, environment(), place.directory, task)
        return done.cost._replace(seconds=float(done.output))


def _ours(**more: object) -> str:
    """Our task with further options."""
    return OURS + "".join(f"        {name}: {json.dumps(value)}\n" for name, value in more.items())


PING = Ping("ping", "ansible -m ping")
FLOOR = Floor("floor", "bare API client, 8 threads")
SLIPWAY = Playbook("ours", "slipway.docker.containers")
UNWATCHED = Playbook("unwatched", "the same, min_healthy_time: 0", text=_ours(min_healthy_time=0))
COMPOSE = Compose("compose", "docker compose")
PIPELINED = Playbook("pipelining", "community.docker, pipelining", peer=True, text=IN_A_LOOP)
CONTENDERS = (
    FLOOR,
    SLIPWAY,
    UNWATCHED,
    COMPOSE,
    Playbook("plain", "community.docker", peer=True, text=IN_A_LOOP, pipelining=False),
    PIPELINED,
    Playbook("async", "community.docker, async", peer=True, text=IN_A_LOOP + AT_ONCE),
    Playbook("forks", f"community.docker, a host each, {FORKS} forks", peer=True, text=A_HOST_EACH, a_host_each=True),
)
