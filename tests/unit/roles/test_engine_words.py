# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role `engine` makes of what it was told and has found: plans, mistakes, commands. Ansible itself renders them, once for all."""

from __future__ import annotations

import base64
import json
import sys

import pytest
import yaml
from conftest import INSTALLED
from harness.run import ansible_playbook

ROLE = INSTALLED / "roles" / "engine"
OLD, NEW = "20.10.24+dfsg1-1+b6", "26.1.5+dfsg1-9+b1"
NOTE = "/etc/docker/tls/.managed"
CERTIFICATE, KEY = "-----BEGIN CERTIFICATE-----\nMA==\n", "-----BEGIN PRIVATE KEY-----\nMA==\n"

SERVICE = "/etc/systemd/system/docker.service.d/slipway-tls.conf"
DROP_INS = {
    "/etc/systemd/system/docker.socket.d/slipway-tls.conf": "[Socket]\nFreeBind=true\nListenStream=0.0.0.0:2376\nListenStream=[::]:2376\n",
    SERVICE: "[Service]\nExecStartPre=/bin/true\n",
}
SOCKETS, GUARD = (base64.b64encode(text.encode()).decode() for text in DROP_INS.values())


def offer(installed: str = OLD, pin: str = NEW, **more: object) -> dict:
    """What is there, and what apt.py says of an upgrade."""
    looked = {"installed": {"docker.io": installed}}
    offered = {"pins": {"docker.io": pin}, "changes": {}, "unread": "", "older": False, **more}
    return {"__engine_looked": {"stdout": json.dumps(looked)}, "__engine_offer": {"stdout": json.dumps(offered)}}


def info(**kind: object) -> dict:
    answer = {"ServerVersion": "20.10.24+dfsg1", "ContainersRunning": 2, "LiveRestoreEnabled": True, **kind}
    return {"__engine_answer": {"stdout": json.dumps(answer)}}


COMING = {"docker.io": [OLD, NEW], "docker-cli": ["", NEW]}

# What it is about: what is said and found, the name, and what it is then.
CASES = {
    "an upgrade is foretold": (
        offer(changes=COMING),
        "__engine_upgrade_plan",
        [
            f"host: engine {OLD} -> {NEW}",
            f"  docker-cli - -> {NEW}",
            f"  docker.io {OLD} -> {NEW}",
            "its 2 containers go on as the same processes",
        ],
    ),
    "what ends is foretold": (
        {**offer(changes=COMING), **info(LiveRestoreEnabled=False)},
        "__engine_upgrade_plan[-1]",
        "its 2 containers end with the daemon and are started again: live-restore is off",
    ),
    "a swarm's node is to be drained": (
        {**offer(changes=COMING), **info(LiveRestoreEnabled=False, Swarm={"LocalNodeState": "active"})},
        "__engine_upgrade_plan[-1]",
        "its 2 containers end with the daemon and are started again: a node of a swarm cannot have live-restore; drain it first",
    ),
    "nothing newer, nothing to do": (offer(pin=OLD), "__engine_upgrade_needed", False),
    "a package that the daemon has yet to take": (
        {**offer(NEW), **info()},
        "__engine_upgrade_needed",
        True,
    ),
    "what was interrupted is finished": (
        {**offer(pin=OLD), "__engine_upgrade_trial": {"stat": {"exists": True}}},
        "__engine_upgrade_needed",
        True,
    ),
    "what is replaced is kept": (
        offer(changes=COMING),
        "[__engine_upgrade_replaced, __engine_upgrade_added]",
        [["docker.io"], ["docker-cli"]],
    ),
    "all that is in the way at once": (
        offer(changes={**COMING, "shop": ["1.0", ""]}, unread="unknown key: graph"),
        "__engine_upgrade_mistakes",
        ["it would remove shop", f"{NEW} does not take /etc/docker/daemon.json: unknown key: graph"],
    ),
    "an older version": (
        {**offer(pin="19.03.15", older=True), "engine_version": "19.03"},
        "__engine_upgrade_mistakes",
        [
            f'engine_version: "19.03" is 19.03.15, older than {OLD}, and an engine does not promise to read what a newer one has written'
        ],
    ),
    "an engine that does not answer": (
        info(ServerVersion=""),
        "__engine_upgrade_refusals",
        ["the engine does not answer, and then nobody can tell an upgrade that failed; bring it up first"],
    ),
    "passwords are not shown": (
        {
            "engine_environment": {
                "HTTP_PROXY": "http://me:se@cret@proxy:3128",
                "https_proxy": "me:secret@proxy:1",
                "MY_TOKEN": "secret",
                "NO_PROXY": "localhost",
                "SAME": "x",
            },
            "__engine_environment_before": {
                "stdout": "# x\nHTTP_PROXY='http://a:b@old:1'\nOLD='1'\nSAME='x'\n",
                "stdout_lines": ["# pending"],
            },
        },
        "__engine_environment_plan",
        [
            "+ engine/environment   https_proxy: ***@proxy:1",
            "+ engine/environment   MY_TOKEN: ***",
            "+ engine/environment   NO_PROXY: localhost",
            "~ engine/environment   HTTP_PROXY: http://***@proxy:3128",
            "- engine/environment   OLD",
            "~ engine/environment   the daemon has yet to take it",
        ],
    ),
    "numbers and booleans are text": (
        {
            "engine_environment": {"DOCKER_MIN_API_VERSION": 1.24, "DOCKER_RAMDISK": True, "GOGC": 100, "TEXT": "True"},
            "__engine_environment_before": {
                "stdout": "DOCKER_MIN_API_VERSION='1.24'\nDOCKER_RAMDISK='false'\nGOGC='100'\nTEXT='True'\n",
                "stdout_lines": [],
            },
        },
        "[__engine_environment_plan, __engine_environment_text]",
        [
            ["~ engine/environment   DOCKER_RAMDISK: true"],
            "DOCKER_MIN_API_VERSION='1.24'\nDOCKER_RAMDISK='true'\nGOGC='100'\nTEXT='True'\n",
        ],
    ),
    "variables that cannot be": (
        {"engine_environment": {"bad-name": "it's", "NO_PROXY": "x"}, "engine_daemon_config": {"proxies": {}}},
        "__engine_environment_mistakes",
        [
            "engine_environment.bad-name: is not the name of a variable",
            "engine_environment.bad-name: has a quote or a new line in it; in a URL, write %27 for a quote",
            "engine_environment.NO_PROXY: engine_daemon_config.proxies has the say where both are given; leave one of them out",
        ],
    ),
    **{
        f"a restart that may not be: {why}": (
            {"engine_daemon_restart": restart, "engine_environment": {"A": "1"}, **info(**kind), **had},
            "__engine_environment_mistakes | map('regex_replace', ',.*', '')",
            refused,
        )
        for why, restart, kind, had, refused in (
            ("at all", "never", {}, {}, ["engine_daemon_restart: never"]),
            ("it may", "auto", {}, {}, []),
            ("nothing runs", "never", {"ServerVersion": ""}, {}, []),
            (
                "it has it",
                "never",
                {},
                {"__engine_environment_before": {"stdout": "A='1'", "stdout_lines": ["A='1'"]}},
                [],
            ),
        )
    },
    "the names that the daemon looks for": (
        {
            "engine_registry_certificates": [
                {"registry": "r.example.org:5000", "ca": CERTIFICATE, "client_cert": CERTIFICATE, "client_key": KEY}
            ]
        },
        "[__engine_certificates_names, __engine_certificates_mistakes, __engine_certificates_gone]",
        [
            ["r.example.org:5000/ca.crt", "r.example.org:5000/client.cert", "r.example.org:5000/client.key"],
            [],
            ["gone/ca.crt"],
        ],
    ),
    "certificates that cannot be": (
        {
            "engine_registry_certificates": [
                {"registry": "https://r.example.org/", "ca": "/etc/ca.pem"},
                {"registry": "[::1]:5000", "client_key": KEY},
            ]
        },
        "__engine_certificates_mistakes",
        [
            'engine_registry_certificates: "https://r.example.org/" is not HOST or HOST:PORT, without https:// and without a path',
            "engine_registry_certificates: [::1]:5000: the daemon refuses client_cert and client_key one without the other",
            "engine_registry_certificates: https://r.example.org/: ca and client_cert are the certificates themselves, in PEM",
        ],
    ),
    "no volume is pruned by itself": (
        {"engine_prune": {"schedule": "weekly"}},
        "__engine_prune_commands",
        ["image prune --force --filter until=168h", "builder prune --force --filter until=168h"],
    ),
    "what is declared stays": (
        {
            "engine_prune": {
                "what": ["networks", "containers"],
                "until": "24h",
                "volumes": ["scratch"],
                "keep": ["slipway.project"],
            }
        },
        "__engine_prune_commands",
        [
            "container prune --force --filter until=24h --filter label!=slipway.project",
            "network prune --force --filter until=24h --filter label!=slipway.project",
            "volume rm scratch",
        ],
    ),
    "with user namespaces the place is the one above": (
        {**info(DockerRootDir="/srv/docker/100000.100000"), "engine_daemon_config": {"data-root": "/mnt/docker/"}},
        "[__engine_move_from, __engine_move_to, __engine_move_switched]",
        ["/srv/docker", "/mnt/docker", False],
    ),
    **{
        f"certificates that are left over: {why}": (
            {"__engine_binary": {"stdout_lines": ["/usr/sbin/dockerd", "systemd", *there]}, **said},
            "__engine_tls_left",
            left,
        )
        for why, there, said, left in (
            ("none", [], {}, False),
            ("not ours", ["/etc/docker/tls/cert.pem"], {}, False),
            ("listening has ended", [NOTE], {}, True),
            ("it listens", [NOTE], {"engine_tls": {"authority": "tls"}}, False),
            ("used as the user says", [NOTE], {"engine_daemon_config": {"tlskey": "/etc/docker/tls/key.pem"}}, False),
            (
                "not those",
                [NOTE],
                {"engine_daemon_config": {"tlskey": "/etc/docker/tls2/key.pem", "debug": True}},
                True,
            ),
            ("the engine goes", [NOTE], {"engine_state": "absent", "engine_tls": {"authority": "tls"}}, True),
        )
    },
    **{
        f"sockets before a change: {why}": (
            {"__engine_tls_read": read},
            "[__engine_tls_former, __engine_tls_former_sockets]",
            [there, sockets],
        )
        for why, read, there, sockets in (
            ("nobody asked", {"skipped": True}, {}, []),
            ("none", {"stdout_lines": []}, {}, []),
            ("two", {"stdout_lines": [SOCKETS, GUARD]}, DROP_INS, ["0.0.0.0:2376", "[::]:2376"]),
            ("a guard alone", {"stdout_lines": ["", GUARD]}, {SERVICE: DROP_INS[SERVICE]}, []),
        )
    },
    "a move that was interrupted goes on from where it was": (
        {
            "__engine_move_read": {"stdout_lines": ["ZnJvbSAvb2xkCnRvIC9uZXcK", "eyJkYXRhLXJvb3QiOiAiL25ldyJ9"]},
            "engine_daemon_config": {"data-root": "/new"},
        },
        "[__engine_move_from, __engine_move_to, __engine_move_switched]",
        ["/old", "/new", True],
    ),
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("words")
    found = {
        "ansible_facts": {"pkg_mgr": "apt", "distribution_release": "bookworm"},
        "__engine_binary": {"stdout_lines": ["/usr/sbin/dockerd", "systemd"]},
        "__engine_upgrade_trial": {"stat": {"exists": False}},
        "__engine_certificates_notes": {"stdout": '["gone/ca.crt"]'},
        "__engine_environment_before": {"stdout": "", "stdout_lines": []},
        "__engine_environment_text": "{{ lookup('ansible.builtin.template', '"
        + str(ROLE / "templates" / "environment.j2")
        + "') | regex_replace('(?m)^#.*\\n', '') }}",
        "__engine_move_read": {"stdout_lines": ["", ""]},
        **info(),
        **offer(),
    }
    known = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    for path in (*(ROLE / "vars" / "main").glob("*.yml"), ROLE / "vars" / "Debian.yml"):
        known.update(yaml.safe_load(path.read_text()))
    # A fact costs nothing; a module for each case would cost a second.
    tasks: list[dict] = [
        {"ansible.builtin.set_fact": {f"case_{number}": "{{ " + name + " }}"}, "vars": {**known, **found, **said}}
        for number, (said, name, _) in enumerate(CASES.values())
    ]
    names = ", ".join(f"'{number}': case_{number}" for number in range(len(CASES)))
    tasks.append({"ansible.builtin.copy": {"content": "{{ {" + names + "} | to_json }}", "dest": str(folder / "said")}})
    (folder / "play.yml").write_text(
        yaml.safe_dump([{"hosts": "host", "connection": "local", "gather_facts": False, "tasks": tasks}])
    )
    line = ["-i", "host,", "-e", f"ansible_python_interpreter={sys.executable}", "play.yml"]
    done = ansible_playbook(*line, directory=folder, env={"ANSIBLE_ROLES_PATH": str(ROLE.parent)}, seconds=180)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((folder / "said").read_text())
    return {case: said[str(number)] for number, case in enumerate(CASES)}


@pytest.mark.parametrize("case", CASES)
def test_it_says(case: str, rendered: dict) -> None:
    assert rendered[case] == CASES[case][2]
