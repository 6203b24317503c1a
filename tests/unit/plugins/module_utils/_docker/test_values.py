# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The small languages of Docker options: what is the same, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge import ports
from ansible_collections.slipway.docker.plugins.module_utils._docker import values

SAME = [
    (values.size, "64m", 67108864),
    (values.size, "64MiB", 67108864),
    (values.size, "1.5g", 1610612736),
    (values.size, 67108864, 67108864),
    (values.memory, 0, 0),
    (values.swap, "unlimited", -1),
    (values.duration, "1m30s", 90_000_000_000),
    (values.duration, "500ms", 500_000_000),
    (values.duration, "90000000000ns", 90_000_000_000),
    (values.duration, "0.57s", 570_000_000),
    (values.duration, "30", 30_000_000_000),
    (values.nano_cpus, 0.5, 500_000_000),
    (values.words, "sh -c 'echo a b'", ["sh", "-c", "echo a b"]),
    (values.words, ["sleep", 1, True], ["sleep", "1", "true"]),
    (values.environment, {"B": 1, "A": None, "C": False}, ["A=", "B=1", "C=false"]),
    (values.environment_back, ["A=b=c", "EMPTY"], {"A": "b=c", "EMPTY": ""}),
    (ports.address, "::0001", "::1"),
    (values.subnet, "10.5.0.0/24", "10.5.0.0/24"),
    (values.reference, "nginx", "nginx:latest"),
    (values.reference, "docker.io/library/nginx:1.27", "nginx:1.27"),
    (values.reference, "localhost:5000/a/b", "localhost:5000/a/b:latest"),
    (values.reference, "a@sha256:" + "0" * 64, "a@sha256:" + "0" * 64),
    (values.signal, "term", "SIGTERM"),
    (values.signal, "15", "SIGTERM"),
    (values.signal, "40", "40"),
    (values.signal, "SIGCLD", "SIGCHLD"),
    (values.absolute, "/srv//www/", "/srv/www"),
    (values.absolute, "//", "/"),
    (values.signal, "RTMIN+3", "SIGRTMIN+3"),
    (values.capabilities, ["net_admin", "CAP_NET_ADMIN", "ALL"], ["ALL", "NET_ADMIN"]),
    (
        values.ulimits,
        ["nofile:1:2", "core=0"],
        [{"Name": "core", "Soft": 0, "Hard": 0}, {"Name": "nofile", "Soft": 1, "Hard": 2}],
    ),
    (values.exposed, ["80", "90-91/udp"], {"80/tcp": {}, "90/udp": {}, "91/udp": {}}),
    (ports.published, ["80"], [("80/tcp", "", "")]),
    (ports.published, ["8080:80", "8080:80/tcp"], [("80/tcp", "", "8080")]),
    (
        ports.published,
        ["127.0.0.1:8000-8001:80-81/udp"],
        [("80/udp", "127.0.0.1", "8000"), ("81/udp", "127.0.0.1", "8001")],
    ),
    (ports.published, ["127.0.0.1::80"], [("80/tcp", "127.0.0.1", "")]),
    (ports.published, ["[::1]:8080:80"], [("80/tcp", "::1", "8080")]),
    (ports.published, ["8000-8010:80"], [("80/tcp", "", "8000-8010")]),
    (values.bind, "data:/data/", ("data", "/data", "")),
    (values.bind, "/a:/b:rw,z", ("/a", "/b", "z")),
    (values.bind, "/a:ro", ("", "/a", "ro")),
    (values.bind, "/a", ("", "/a", "")),
]

REFUSED = [
    (values.size, "12x", "is not a size"),
    (values.size, "-1", "is not a size"),
    (values.memory, "1m", "minimum of 6m"),
    (values.duration, "soon", "is not a duration"),
    (values.duration, "99999999999h", "is more than an engine can count"),
    (values.duration, "1m x", "is not a duration"),
    (values.nano_cpus, 0, "is not a number of processors"),
    (values.name, "a", "is not a name"),
    (values.name, "-web", "is not a name"),
    (values.name, "we b", "is not a name"),
    (values.words, "echo 'a", "cannot be split"),
    (values.words, {"a": 1}, "neither a text nor a list"),
    (values.environment, {"A=B": 1}, "is not a variable's name"),
    (values.environment, {"A": [1]}, "is not a text"),
    (ports.address, "300.1.1.1", "is not an IP address"),
    (ports.address, "localhost", "is not an IP address"),
    (values.subnet, "10.5.0.1/24", "host bits"),
    (values.subnet, "10.5.0.0/33", "is not a subnet"),
    (values.reference, "Nginx", "is not an image reference"),
    (values.reference, "a b", "is not an image reference"),
    (values.reference, "", "is not an image reference"),
    (values.signal, "SIGNOPE", "is not a signal"),
    (values.signal, "65", "is not a signal"),
    (values.capabilities, ["NET_ADMNI"], "is not a capability"),
    (values.ulimits, ["nofile:2:1"], "soft limit is above"),
    (values.ulimits, ["files:1"], "is not a limit"),
    (ports.published, ["80:80:80:80"], "put an IPv6 address in brackets"),
    (ports.published, ["127.0.0.1 :80:80"], "is not an IP address"),
    (ports.published, ["127.0.0.1:8080:80 "], "spaces around it"),
    (ports.published, ["localhost:80:80"], "is not an IP address"),
    (ports.published, ["8080:0"], "outside the ports"),
    (ports.published, ["70000:80"], "outside the ports"),
    (ports.published, ["80-82:80-81"], "equally long"),
    (ports.published, ["82-80:82-80"], "ends before it begins"),
    (ports.published, ["80/http"], "no known protocol"),
    (ports.published, ["web"], "is not a port"),
    (values.bind, "data:data", "is not absolute"),
    (values.bind, "./a:/b", "is relative"),
    (values.bind, "data:/b:rx", "is not a mode"),
    (values.bind, "a:/b:ro:z", "is not a volume"),
    (values.bind, "a/b:/c", "neither an absolute path nor"),
]


@pytest.mark.parametrize(("read", "given", "expected"), SAME)
def test_spellings(read: Any, given: Any, expected: Any) -> None:
    assert read(given) == expected


@pytest.mark.parametrize(("read", "given", "words"), REFUSED)
def test_refusals(read: Any, given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(given)


@pytest.mark.parametrize(
    "read", [values.size, values.duration, values.name, ports.address, values.subnet, values.reference, values.signal]
)
@pytest.mark.parametrize("given", ["", " ", "é", "\0", "a" * 1000, "🚢", "../..", "-", ":", "@", "[", "1" * 400])
def test_anything_else_is_a_value_or_a_sentence(read: Any, given: str) -> None:
    try:
        read(given)
    except ValueError as error:
        assert "\n" not in str(error)
