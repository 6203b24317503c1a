# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Between a plan and its execution the world moves: what is done then is what was approved, or nothing; and drift is an exit status."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness.engine import Engine
from harness.run import Play, playbook
from harness.task import STAYS, Task

BUSYBOX = "slipway-test/busybox"
CANARY = "hunter2-canary"
STOP = {"stop_timeout": 1}


def application(**changes: dict) -> dict[str, Any]:
    """An app of two containers; ``changes`` are further options of them, by name."""
    web = {
        "name": "web",
        "image": "shop/app:1",
        "command": STAYS,
        "memory": "64m",
        "env": {"A": "1", "DB_PASSWORD": CANARY},
    }
    web |= {"networks": [{"name": "back"}], "volumes": ["data:/data"], **STOP}
    api = {
        "name": "api",
        "image": f"{BUSYBOX}:1",
        "command": STAYS,
        "memory": "64m",
        "networks": [{"name": "back"}],
        **STOP,
    }
    containers = [{**item, **changes.get(item["name"], {})} for item in (web, api)]
    return {"project": "shop", "networks": [{"name": "back"}], "volumes": [{"name": "data"}], "containers": containers}


def wanted(**changes: dict) -> dict[str, Any]:
    """What is planned: web is replaced, api changes in place, and a container, a network and a volume come."""
    spec = application(web={"env": {"A": "2", "DB_PASSWORD": CANARY}}, api={"memory": "128m"})
    job = {"name": "job", "image": "shop/app:1", "command": STAYS, "networks": [{"name": "front"}]}
    job |= {"volumes": ["cache:/cache"], "published_ports": ["127.0.0.1:8081:80"], **STOP}
    spec["containers"] = [{**item, **changes.get(item["name"], {})} for item in (*spec["containers"], job)]
    spec["networks"].append({"name": "front"})
    spec["volumes"].append({"name": "cache"})
    return spec


def again(engine: Engine, name: str) -> None:
    """Put another container, which is the same in all that it says, in the place of one."""
    old = engine.inspect("container", name)
    assert old
    networks = {key: {"Aliases": None} for key in old["NetworkSettings"]["Networks"]}
    body = {**old["Config"], "HostConfig": old["HostConfig"], "NetworkingConfig": {"EndpointsConfig": networks}}
    body.pop("Hostname")
    engine.run_cli("rm", "--force", name)
    made = engine.api("POST", "/containers/create", body, name=name)
    engine.api("POST", f"/containers/{made['Id']}/start")


def run(*arguments: str) -> Callable[[Engine], object]:
    """A mutation that is one docker command."""
    return lambda engine: engine.run_cli(*arguments)


def both(*commands: str) -> Callable[[Engine], object]:
    """A mutation that is several docker commands."""
    return lambda engine: [engine.run_cli(*command.split()) for command in commands]


OTHER = "--label=slipway.project=other"
WORLD: dict[str, Callable[[Engine], object]] = {
    "what is replaced was removed": run("rm", "--force", "web"),
    "what is replaced was stopped": run("stop", "--time", "0", "web"),
    "what is replaced was paused": run("pause", "web"),
    "what is replaced was renamed": run("rename", "web", "web2"),
    "what is replaced was made by hand": both("rm -f web", f"run -d --name web {BUSYBOX}:1 sleep 1000"),
    "what is replaced is another container of the same kind": lambda engine: again(engine, "web"),
    "what is replaced was changed": run("update", "--memory", "80m", "--memory-swap", "160m", "web"),
    "what is replaced left its network": run("network", "disconnect", "back", "web"),
    "what changes in place was removed": run("rm", "--force", "api"),
    "what changes in place was changed to another value": run("update", "--memory", "96m", "--memory-swap", "192m", "api"),
    "what changes in place was changed to the approved value": run("update", "--memory", "128m", "--memory-swap", "256m", "api"),
    "what changes in place is another container of the same kind": lambda engine: again(engine, "api"),
    "the image's name stands for another image": run("tag", f"{BUSYBOX}:2", "shop/app:1"),
    "the image has gone": run("rmi", "--force", "--no-prune", "shop/app:1"),
    "the network has gone": both("network disconnect back web", "network disconnect back api", "network rm back"),
    "the network was made by hand": run("network", "create", "front"),
    "the network was made by another owner": run("network", "create", OTHER, "front"),
    "the volume was made by hand": run("volume", "create", "cache"),
    "the volume was made by another owner": run("volume", "create", OTHER, "cache"),
    "the port is taken": run("run", "--detach", "--publish", "127.0.0.1:8081:80", f"{BUSYBOX}:1", "sleep", "1000"),
    "the container was made by hand": run("run", "--detach", "--name", "job", f"{BUSYBOX}:1", "sleep", "1000"),
    "the container was made by another owner": run("create", "--name", "job", OTHER, f"{BUSYBOX}:1"),
    "an orphan has come": run("create", "--name", "lost", "--label=slipway.project=shop", "--label=slipway.key=lost", f"{BUSYBOX}:1"),
}  # fmt: skip
SPEC: dict[str, dict] = {
    "another value": wanted(api={"memory": "256m"}),
    "a further option": wanted(api={"restart_policy": "always"}),
    "a further secret": wanted(web={"env": {"A": "2", "DB_PASSWORD": "another-canary"}}),
    "a container less": {**wanted(), "containers": wanted()["containers"][:2]},
}


@pytest.fixture
def approved(task: Task, engine: Engine) -> dict[str, Any]:
    """A running app, and the plan to change it, with the plan's plan_id."""
    engine.import_busybox("shop/app:1", "ENV SHOP=1")
    task("containers", **application()).ok()
    plan = task.foretell("containers", orphans="remove", **wanted())
    assert len(plan["plan"]) == 5, plan["plan"]
    return {"orphans": "remove", "plan_id": plan["plan_id"], **wanted()}


@pytest.mark.parametrize("moved", WORLD)
def test_a_world_that_moved_is_not_touched(task: Task, engine: Engine, approved: dict[str, Any], moved: str) -> None:
    WORLD[moved](engine)
    before = engine.snapshot()
    task.refused("containers", **approved)
    assert engine.snapshot() == before


@pytest.mark.parametrize("moved", SPEC)
def test_another_declaration_is_not_carried_out(task: Task, approved: dict[str, Any], moved: str) -> None:
    message = task.refused("containers", **{**approved, **SPEC[moved]})
    assert approved["plan_id"] in message and "nothing was touched" in message
    assert "canary" not in message


def test_another_build_context_is_not_built(task: Task, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BUSYBOX}:1\nCOPY a /a\n")
    (tmp_path / "a").write_text("1")
    spec = {"project": "shop", "images": [{"name": "shop/built", "build": {"path": str(tmp_path)}}]}
    plan = task.foretell("containers", **spec)
    (tmp_path / "a").write_text("2")
    task.refused("containers", plan_id=plan["plan_id"], **spec)
    (tmp_path / "a").write_text("1")
    assert task("containers", plan_id=plan["plan_id"], **spec).ok().changed


def test_what_was_approved_is_done_once(task: Task, approved: dict[str, Any]) -> None:
    done = task("containers", **approved).ok()
    assert done["plan_id"] == approved["plan_id"]
    assert not task("containers", **approved).ok().changed and not task.mutating
    assert task("containers", **approved)["plan_id"] == "empty"


# -- through the playbooks ---------------------------------------------------------------------------------------------


class Site:
    """The playbooks of the collection, for an app on this machine's test engine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.folder = folder
        self.common = {"slipway_docker_host": engine.url, "slipway_engine": False, "slipway_become": False}
        self.spec = application()
        # What Ansible would take for a template, were it not data.
        self.spec["containers"][0]["env"]["FORMAT"] = {"__ansible_unsafe": "{{ .State.Status }}"}
        self.plan_file = folder / "plan.json"

    def play(self, name: str, *options: str, **variables: Any) -> Play:
        """Run one of them with further variables."""
        spec = {f"slipway_{key}": value for key, value in self.spec.items()}
        (self.folder / "vars.json").write_text(json.dumps({**self.common, **spec, **variables}))
        environ = {"PWD": str(self.folder), "ANSIBLE_PIPELINING": "true"}
        text = f"- name: It\n  ansible.builtin.import_playbook: slipway.docker.{name}\n"
        return playbook(text, "-e", "@vars.json", *options, directory=self.folder, env=environ)

    def plan(self, **variables: Any) -> dict[str, Any]:
        """Plan, and return what was kept of it."""
        done = self.play("plan", **variables)
        assert done.rc == 0, done.output
        kept = self.plan_file.read_text() + self.plan_file.with_suffix(".md").read_text()
        assert CANARY not in kept + done.output
        found = json.loads(self.plan_file.read_text())
        assert found["format"] == 2
        return found["hosts"]["localhost"]

    def apply(self, *options: str, **variables: Any) -> Play:
        """Apply the plan that was kept."""
        return self.play("site", *options, plan="plan.json", **variables)


@pytest.fixture
def site(engine: Engine, tmp_path: Path) -> Site:
    """An app that is declared and not there."""
    engine.import_busybox("shop/app:1", "ENV SHOP=1")
    return Site(engine, tmp_path)


def test_site_does_what_was_approved_and_nothing_else(site: Site, engine: Engine) -> None:
    planned = site.plan()
    assert planned["plan_id"] not in ("", "empty")
    (site.folder / "files.yml").write_text("this: is another file of this name, and not looked at\n")
    done = site.apply()
    assert done.rc == 0, done.output
    actions = done.result("Containers, networks, volumes and images are as declared")["actions"]
    assert [action["line"] for action in actions] == planned["plan"]
    assert site.apply().rc == 0
    assert site.plan()["plan_id"] == "empty"

    # Another plan, and then the world moves: the message has both, and the way out.
    site.spec = application(api={"memory": "128m"})
    site.plan()
    engine.run_cli("stop", "--time", "0", "web")
    before = engine.snapshot()
    refused = site.apply()
    assert refused.rc == 2
    message = refused.result("Refuse what was not approved").msg
    for part in ("localhost", "approved:", "now:", "memory: 67108864 -> 134217728", "container/web", "Plan again"):
        assert part in message
    assert engine.snapshot() == before


def test_one_host_that_moved_keeps_all_from_being_touched(site: Site, engine: Engine) -> None:
    inventory = ["-i", "one,two", "-e", "ansible_connection=local"]
    # Two hosts, and one engine behind both: they plan the same.
    assert site.play("plan", *inventory).rc == 0
    kept = json.loads(site.plan_file.read_text())
    kept["hosts"].pop("two")
    site.plan_file.write_text(json.dumps(kept))
    before = engine.snapshot()
    refused = site.apply(*inventory)
    assert refused.rc == 2 and engine.snapshot() == before
    message = refused.result("Refuse what was not approved").msg
    assert "two\n  approved: nothing; the host is not in plan.json" in message and "one\n" not in message


def test_what_is_no_plan_is_refused(site: Site, engine: Engine) -> None:
    before = engine.snapshot()
    for content in ("", "{}", '{"format": 1, "hosts": {}}', "- no plan"):
        site.plan_file.write_text(content)
        refused = site.apply()
        assert refused.rc == 2 and "plan again" in refused.result("See whether it can be read").msg
    assert engine.snapshot() == before


def test_files_are_approved_by_what_they_hold(site: Site, engine: Engine) -> None:
    source, there = site.folder / "src", site.folder / "there"
    source.mkdir()
    (source / "Dockerfile").write_text(f"FROM {BUSYBOX}:1\nCOPY a /a\n")
    (source / "a").write_text("1")
    site.spec = {"project": "shop", "files": [{"src": f"{source}/", "dest": f"{there}/"}]}
    site.spec["images"] = [{"name": "shop/built", "build": {"path": str(there)}}]

    # Where the files are not there yet, the app is planned once they are.
    first = site.plan()
    assert first["plan"] == ["? containers   planned once the files are there"] and first["plan_id"] == ""
    stopped = site.apply()
    assert stopped.rc == 2 and there.exists() and not engine.inspect("image", "shop/built")
    assert "+ image/shop/built:latest   missing" in stopped.result("Stop until its plan is approved").msg
    assert site.plan()["plan"] == ["+ image/shop/built:latest   missing"]
    assert site.apply().rc == 0
    built = engine.inspect("image", "shop/built")

    # A file that changes takes its image with it; a file that is other than approved is not copied.
    (source / "a").write_text("2")
    planned = site.plan()
    assert planned["lines"] == [f"~ file{there}/", "? image/shop/built   made anew from files that change"]
    (source / "a").write_text("3")
    assert site.apply().rc == 2
    assert (there / "a").read_text() == "1" and engine.inspect("image", "shop/built") == built
    (source / "a").write_text("2")
    assert site.apply().rc == 0
    assert engine.inspect("image", "shop/built") != built


def test_files_beside_the_playbook_are_found(site: Site) -> None:
    there = str(site.folder / "there")
    site.spec = {"project": "shop", "files": [{"src": "quickstart/api/", "dest": there}]}
    site.spec["images"] = [{"name": "shop/api", "build": {"path": f"{there}/"}}, {"name": f"{BUSYBOX}:1"}]
    planned = site.plan()
    assert [item["dest"] for item in planned["files"]] == [there] and planned["images"] == ["shop/api"]
    assert planned["plan"] == ["? containers   planned once the files are there"]


def test_drift_is_an_exit_status(site: Site, engine: Engine) -> None:
    assert site.play("site").rc == 0
    nothing = site.play("drift")
    assert nothing.rc == 0, nothing.output
    assert json.loads((site.folder / "drift.json").read_text())["changed"] is False

    engine.run_cli("stop", "--time", "0", "web")
    before = engine.snapshot()
    drifted = site.play("drift", drift_file="found.json")
    assert drifted.rc == 2, drifted.output
    found = json.loads((site.folder / "found.json").read_text())
    assert [line for line in found["hosts"]["localhost"]["plan"] if "container/web" in line]
    assert "container/web" in (site.folder / "found.md").read_text()
    assert engine.snapshot() == before

    # Nobody knows whether something has drifted: errors win.
    mistaken = copy.deepcopy(site.spec)
    mistaken["containers"][1]["memory"] = "12x"
    far = site.folder / "far.ini"
    far.write_text("far ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1\n")
    for said, options, variables in (
        ("no engine answers", [], {"slipway_docker_host": "unix:///no/socket"}),
        ('"12x" is not a size', [], {"slipway_containers": mistaken["containers"]}),
        ("far", ["-i", str(far)], {}),
        ("no host was compared", [], {"slipway_hosts": "nobody"}),
        ("/no/folder", [], {"drift_file": "/no/folder/drift.json"}),
    ):
        failed = site.play("drift", *options, **variables)
        assert failed.rc == 1, (said, failed.output)
        assert said in failed.output
    assert engine.snapshot() == before
