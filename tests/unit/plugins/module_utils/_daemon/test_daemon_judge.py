# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused though each key by itself is right."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import Mistakes
from ansible_collections.slipway.docker.plugins.module_utils._daemon import document, flags
from ansible_collections.slipway.docker.plugins.module_utils._daemon.judge import Facts, judge

INFO = {
    "Containers": 2,
    "Images": 1,
    "DockerRootDir": "/var/lib/docker",
    "Driver": "overlay2",
    "Plugins": {"Log": ["local", "acme:latest"]},
}
SWARM = {**INFO, "Swarm": {"LocalNodeState": "active"}}
CERTIFICATES = {"tlscacert": "/ca", "tlscert": "/cert", "tlskey": "/key"}
TCP = {"hosts": ["unix:///run/x.sock", "tcp://0.0.0.0:2376"]}


def judged(before: dict, after: dict, words: str = "", unit: str = "", **facts: Any) -> list[str]:
    mistakes = Mistakes()
    known = Facts(flags.parse(words.split()), flags.parse(unit.split()), **{"info": INFO, **facts})
    judge(before, after, document.differing(before, after), known, mistakes)
    return mistakes.lines


@pytest.mark.parametrize(
    ("after", "facts", "message"),
    [
        (
            {"hosts": ["unix:///x"]},
            {"words": "-H fd://"},
            "config.hosts: the daemon was started with the flag -H fd://",
        ),
        ({"hosts": ["unix:///x"]}, {"unit": "-H fd://"}, "its unit starts the daemon with the flag -H fd://"),
        ({"labels": ["a=1"]}, {"words": "--label=b=2"}, "the flag --label=b=2"),
        (TCP, {}, "add tlsverify: true, tlscacert, tlscert, tlskey"),
        ({**TCP, "tlsverify": True}, {}, "add tlscacert, tlscert, tlskey"),
        ({**TCP, **CERTIFICATES, "tls": True}, {}, "add tlsverify: true"),
        (
            {"hosts": ["tcp://127.0.0.1:2376"], "tlsverify": True, **CERTIFICATES},
            {},
            "has no socket on the host itself",
        ),
        ({"live-restore": True}, {"info": SWARM}, "config.live-restore: this engine is part of a swarm (active)"),
        ({"firewall-backend": "nftables"}, {"info": SWARM}, "which knows no nftables"),
        (
            {"data-root": "/srv/docker"},
            {},
            'config.data-root: would change from "the default" to "/srv/docker", and the 2 containers and 1 image',
        ),
        ({"storage-driver": "vfs"}, {}, "config.storage-driver"),
        ({"userns-remap": "default"}, {}, "config.userns-remap"),
        ({"features": {"containerd-snapshotter": True}}, {}, "config.features.containerd-snapshotter"),
        ({"default-runtime": "kata"}, {}, "none of the runtimes io.containerd.runc.v2, runc"),
        ({"log-driver": "nonsense"}, {}, "none of the log drivers acme:latest, local, none"),
        ({"authorization-plugins": ["acme"]}, {"plugins": []}, "a daemon ends without it"),
        ({"tlscacert": "/nowhere"}, {"missing": ["/nowhere"]}, 'the file "/nowhere" is not there'),
        ({"host-gateway-ip": "1.1.1.1", "host-gateway-ips": []}, {}, "keep host-gateway-ips"),
    ],
)
def test_refused(after: dict, facts: dict, message: str) -> None:
    found = judged({}, after, **facts)
    assert len(found) == 1 and message in found[0]


@pytest.mark.parametrize(
    ("before", "after", "facts"),
    [
        ({}, {**TCP, "tlsverify": True, **CERTIFICATES}, {}),
        ({}, TCP, {"words": "--tlsverify --tlscacert=/ca --tlscert=/cert --tlskey=/key"}),
        ({}, {"storage-driver": "overlay2", "data-root": "/var/lib/docker/"}, {}),
        ({}, {"userns-remap": ""}, {}),
        (
            {},
            {"userns-remap": "default", "data-root": "/srv", "storage-driver": "vfs"},
            {"info": {"Containers": 0, "Images": 0}},
        ),
        ({"data-root": "/srv"}, {"data-root": "/srv", "debug": True}, {}),
        ({}, {"live-restore": True}, {}),
        ({"live-restore": True}, {"live-restore": False}, {"info": SWARM}),
        ({}, {"default-runtime": "kata", "runtimes": {"kata": {"path": "/x"}}}, {}),
        ({}, {"default-runtime": "limited"}, {"words": "--add-runtime limited=/x"}),
        ({}, {"runtimes": {"kata": {"path": "/x"}}}, {"words": "--add-runtime limited=/x"}),
        ({}, {"log-driver": "acme"}, {}),
        ({}, {"log-driver": "syslog"}, {"info": {}}),
        ({}, {"authorization-plugins": ["acme:latest"]}, {"plugins": ["acme"]}),
        ({}, {"authorization-plugins": ["acme"]}, {}),
    ],
)
def test_not_refused(before: dict, after: dict, facts: dict) -> None:
    assert judged(before, after, **facts) == []


PROVEN = {"tlsverify": True, **CERTIFICATES}


@pytest.mark.parametrize(
    ("said", "hosts"),
    [
        ({"words": "-H fd:// -H tcp://0.0.0.0:2376"}, "tcp://0.0.0.0:2376"),
        ({"words": "--host=0.0.0.0:2376"}, "0.0.0.0:2376"),
        ({"unit": "-H tcp://[::]:2376 -H unix:///x"}, "tcp://[::]:2376"),
        ({"words": "--tlsverify -H tcp://0.0.0.0:1", "unit": "-H tcp://0.0.0.0:2"}, "tcp://0.0.0.0:2"),
    ],
)
@pytest.mark.parametrize("after", [{}, {**CERTIFICATES, "tls": True}, {**PROVEN, "tlsverify": False}])
def test_a_socket_by_flag_keeps_its_protection(after: dict, said: dict, hosts: str) -> None:
    found = [line for line in judged(PROVEN, after, **said) if "is all that keeps" in line]
    assert len(found) == 1 and found[0].startswith(f'config.tlsverify: is all that keeps "{hosts}"')


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"debug": True}, {"words": "-H tcp://0.0.0.0:2375"}),
        (PROVEN, {**PROVEN, "debug": True}, {"words": "-H tcp://0.0.0.0:2376"}),
        ({}, PROVEN, {"words": "-H tcp://0.0.0.0:2376"}),
        (PROVEN, {}, {"words": "-H fd:// -H unix:///x"}),
        (PROVEN, {}, {"unit": "-H $HOSTS -H ssh://x"}),
        ({**CERTIFICATES, "tlsverify": True}, {}, {"words": "--tlsverify --tlscacert /ca -H tcp://0.0.0.0:2376"}),
    ],
)
def test_a_socket_by_flag_that_stays_as_it_was(before: dict, after: dict, said: dict) -> None:
    assert judged(before, after, **said) == []


def test_a_data_root_below_which_a_user_namespace_has_its_own_is_the_same() -> None:
    info = {
        **INFO,
        "DockerRootDir": "/var/lib/docker/165536.165536",
        "SecurityOptions": ["name=seccomp", "name=userns"],
    }
    assert (
        judged({"userns-remap": "default"}, {"userns-remap": "default", "data-root": "/var/lib/docker"}, info=info)
        == []
    )
    assert "would change" in judged({"userns-remap": "default"}, {}, info=info)[0]
