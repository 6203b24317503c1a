# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long does it take to find out that nothing has to be done? Ours beside the peers: same containers, same engine, same run.

    python tests/benchmarks/run.py [--count 100] [--rounds 5] [--peers-count 20]

Compose has containers of its own, for it takes over nobody else's; then they go, and ours are made from the same list. Every
figure is the median of its rounds, of runs that change nothing; each run is a process of its own. What was measured is
printed as a table and written to build/bench.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS))

import peers  # noqa: E402
from harness.engine import IMAGE, Engine, UnixConnection, private_engine  # noqa: E402
from harness.task import STAYS  # noqa: E402

THREADS = 8  # of the floor; as many as the module has workers
TARGET = 2.0

PING = """
- name: Ping
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Measured
      ansible.builtin.ping:
"""
OURS = """
- name: Ours
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Measured
      slipway.docker.containers:
        project: bench
        docker_host: "{{ docker_host }}"
        min_healthy_time: 0
        containers: "{{ containers }}"
"""
COMMUNITY = """
- name: Community
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Measured
      community.docker.docker_container:
        docker_host: "{{ docker_host }}"
        name: "{{ item.name }}"
        image: "{{ item.image }}"
        command: "{{ item.command }}"
        env: "{{ item.env }}"
        memory: "{{ item.memory }}"
        restart_policy: "{{ item.restart_policy }}"
      loop: "{{ containers }}"
      loop_control:
        label: "{{ item.name }}"
"""


def specs(count: int) -> list[dict]:
    """What all of them are asked for."""
    common = {"image": f"{IMAGE}:1", "command": STAYS, "memory": "32m", "restart_policy": "unless-stopped"}
    return [
        {"name": f"bench-{number:03d}", **common, "env": {"NUMBER": str(number), "LEVEL": "info"}}
        for number in range(count)
    ]


def compose_file(containers: list[dict]) -> str:
    """The same as a Compose file, which doubles a dollar sign and calls two options otherwise."""
    services = {}
    for item in containers:
        name = item["name"]
        services[name] = {
            "image": item["image"],
            "command": [word.replace("$", "$$") for word in item["command"]],
            "container_name": name,
            "environment": item["env"],
            "mem_limit": item["memory"],
            "restart": item["restart_policy"],
            "network_mode": "bridge",
        }
    return json.dumps({"name": "bench", "services": services})


class Bench:
    """Measures; keeps seconds by name, one entry per round."""

    def __init__(self, engine: Engine, place: Path, programs: Path) -> None:
        self.engine, self.place, self.programs = engine, place, programs
        self.seconds: dict[str, list[float]] = {}
        own = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "ANSIBLE_"))}
        self.environ = {
            **own,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_CALLBACK_PLUGINS": str(TESTS / "harness" / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_HOME": str(place / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }

    def note(self, name: str, seconds: float) -> None:
        """Keep one figure."""
        self.seconds.setdefault(name, []).append(seconds)

    def timed(self, name: str, command: list[str]) -> subprocess.CompletedProcess:
        """Run a command, keep how long the whole process took under the name; end everything when it fails."""
        began = time.monotonic()
        done = subprocess.run(
            command,
            env=self.environ,
            cwd=self.place,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        self.note(name, time.monotonic() - began)
        if done.returncode:
            raise SystemExit(f"{name}: exit {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        return done

    def play(self, name: str, text: str, containers: list[dict], expect_changed: bool = False) -> None:
        """Run a playbook; keep the whole process as `NAME process` and its task as `NAME task`."""
        record = self.place / "record.jsonl"
        record.unlink(missing_ok=True)
        (self.place / "play.yml").write_text(text)
        (self.place / "vars.json").write_text(json.dumps({"docker_host": self.engine.url, "containers": containers}))
        self.environ["SLIPWAY_RECORD"] = str(record)
        interpreter = f"ansible_python_interpreter={self.programs / 'python'}"
        self.timed(
            f"{name} process",
            [str(self.programs / "ansible-playbook"), "-i", "localhost,", "-c", "local", "-e", "@vars.json", "-e", interpreter, "play.yml"],
        )  # fmt: skip
        (entry,) = (json.loads(line) for line in record.read_text().splitlines())
        if bool(entry["result"].get("changed")) != expect_changed:
            raise SystemExit(
                f"{name}: changed is {not expect_changed}, so this is not the run that was meant: {str(entry['result'])[:1000]}"
            )
        self.note(f"{name} task", entry["seconds"])

    def running(self, count: int) -> None:
        """Make sure that there are as many running containers as are spoken of."""
        found = len(json.loads(_get(UnixConnection(self.engine.socket), "/containers/json")))
        if found != count:
            raise SystemExit(f"{found} containers run instead of {count}")

    def ping_process(self) -> None:
        """`ansible -m ping`, from its start to its end."""
        command = [
            "ansible",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            f"ansible_python_interpreter={self.programs / 'python'}",
            "-m",
            "ping",
            "localhost",
        ]
        self.timed("ansible -m ping process", [str(self.programs / command[0]), *command[1:]])

    def floor(self, count: int) -> None:
        """One list call and as many inspects as there are containers, by threads that each keep a connection."""
        began = time.monotonic()
        connection = UnixConnection(self.engine.socket)
        found = json.loads(_get(connection, "/containers/json?all=1"))
        names = [item["Id"] for item in found]

        def inspect(share: list[str]) -> None:
            mine = UnixConnection(self.engine.socket)
            for name in share:
                json.loads(_get(mine, f"/containers/{name}/json"))
            mine.close()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(inspect, [names[index::THREADS] for index in range(THREADS)]))
        connection.close()
        self.note("floor", time.monotonic() - began)


def _get(connection: UnixConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


def measure(bench: Bench, containers: list[dict], rounds: int, peers_count: int) -> None:
    """All measurements, each in its rounds."""
    compose = [peers.compose(), "--file", "compose.json", "up", "--detach", "--quiet-pull"]
    bench.environ["DOCKER_HOST"] = bench.engine.url
    (bench.place / "compose.json").write_text(compose_file(containers))
    say(f"Compose makes its {len(containers)} containers")
    bench.timed("Compose create process", compose)
    bench.running(len(containers))
    for _ in range(rounds):
        bench.timed("Compose process", compose)
    bench.engine.clean()
    del bench.environ["DOCKER_HOST"]

    say(f"ours makes its {len(containers)} containers")
    bench.play("ours create", OURS, containers, expect_changed=True)
    bench.running(len(containers))
    say("runs that change nothing")
    for _ in range(rounds):  # in turns, so that whatever else the machine does hits all alike
        bench.play("ping", PING, containers)
        bench.play("ours", OURS, containers)
        bench.floor(len(containers))
        bench.ping_process()
    say(f"community.docker in a loop over {peers_count}")
    for _ in range(min(rounds, 2)):
        bench.play("community", COMMUNITY, containers[:peers_count])


def table(
    median: dict[str, float], count: int, peers_count: int
) -> tuple[list[tuple[str, str, str]], dict[str, float]]:
    """The lines of the table, and the ratios by name."""
    scale = count / peers_count
    community = median["community task"] * scale
    floor = median["ping task"] + median["floor"]
    ratios = {
        "task / (ping task + floor)": median["ours task"] / floor,
        "process / ansible -m ping process": median["ours process"] / median["ansible -m ping process"],
        "Compose / ours, process": median["Compose process"] / median["ours process"],
        "community.docker / ours, task": community / median["ours task"],
    }
    measured = f"scaled from {peers_count}" if scale != 1 else ""
    startup = median["community process"] - median["community task"]
    lines = [
        ("a no-op converge, task", "seconds", ""),
        ("  ping", f"{median['ping task']:.3f}", ""),
        (f"  floor: 1 list, {count} inspects", f"{median['floor']:.3f}", f"{THREADS} threads"),
        (
            "  slipway.docker.containers",
            f"{median['ours task']:.3f}",
            f"{ratios['task / (ping task + floor)']:.2f} x (ping + floor), to be <= {TARGET:g}",
        ),
        (
            "  community.docker in a loop",
            f"{community:.3f}",
            f"{ratios['community.docker / ours, task']:.0f} x ours {measured}".rstrip(),
        ),
        ("a no-op converge, whole process", "", ""),
        ("  ansible -m ping", f"{median['ansible -m ping process']:.3f}", ""),
        (
            "  slipway.docker.containers",
            f"{median['ours process']:.3f}",
            f"{ratios['process / ansible -m ping process']:.2f} x ping",
        ),
        (
            "  docker compose up -d",
            f"{median['Compose process']:.3f}",
            f"{ratios['Compose / ours, process']:.2f} x ours",
        ),
        ("  community.docker in a loop", f"{community + startup:.3f}", measured),
        ("from nothing, once", "", ""),
        ("  slipway.docker.containers", f"{median['ours create process']:.3f}", ""),
        ("  docker compose up -d", f"{median['Compose create process']:.3f}", ""),
    ]
    return lines, ratios


def say(text: str) -> None:
    """Tell what is being done."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, write; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description="No-op converges of ours and of the peers, side by side.")
    parser.add_argument("--count", type=int, default=100, help="containers (default 100)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, of which the median counts (default 5)")
    parser.add_argument(
        "--peers-count", type=int, default=20, help="containers in the loop of community.docker, scaled up (default 20)"
    )
    options = parser.parse_args()
    peers_count = min(options.peers_count, options.count)
    programs = peers.environment()
    peers.compose()
    with private_engine() as engine, tempfile.TemporaryDirectory(prefix="slipway-bench-") as place:
        engine.import_test_images()
        bench = Bench(engine, Path(place), programs)
        measure(bench, specs(options.count), options.rounds, peers_count)
    median = {name: statistics.median(values) for name, values in bench.seconds.items()}
    lines, ratios = table(median, options.count, peers_count)
    print(f"\n{options.count} containers, median of {options.rounds} runs, {os.cpu_count()} processors")
    for name, seconds, remark in lines:
        print(f"{name:<36}{seconds:>9}  {remark}".rstrip())
    report = {
        "count": options.count,
        "peers_count": peers_count,
        "rounds": options.rounds,
        "median": median,
        "seconds": bench.seconds,
        "ratios": ratios,
    }
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench.json").write_text(json.dumps(report, indent=2) + "\n")
    return 0 if ratios["task / (ping task + floor)"] <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
