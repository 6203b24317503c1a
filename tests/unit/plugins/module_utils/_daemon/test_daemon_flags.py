# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The daemon's command line, read as the daemon reads it."""

from __future__ import annotations

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._daemon import flags
from ansible_collections.slipway.docker.plugins.module_utils._daemon.process import last_words

WORDS = "-H fd:// --containerd=/run/containerd/containerd.sock -D --label a=1 --label b=2 -l warn --icc=false --tlsverify --bip 172.30.0.1/16"


def parsed() -> list[flags.Flag]:
    return flags.parse(WORDS.split())


def test_flags() -> None:
    assert [(flag.name, flag.value) for flag in parsed()] == [
        ("host", "fd://"),
        ("containerd", "/run/containerd/containerd.sock"),
        ("debug", "true"),
        ("label", "a=1"),
        ("label", "b=2"),
        ("log-level", "warn"),
        ("icc", "false"),
        ("tlsverify", "true"),
        ("bip", "172.30.0.1/16"),
    ]
    assert flags.values_of(parsed(), "label") == ["a=1", "b=2"]
    assert (
        flags.is_set(parsed(), "tlsverify") and not flags.is_set(parsed(), "icc") and not flags.is_set(parsed(), "tls")
    )


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("hosts", "-H fd://"),
        ("labels", "--label a=1"),
        ("debug", "-D"),
        ("icc", "--icc=false"),
        ("mtu", None),
        ("log-opts", None),
    ],
)
def test_which_flag_says_what_a_key_says(key: str, words: str | None) -> None:
    found = flags.of_key(parsed(), key)
    assert (str(found) if found else None) == words


def test_runtimes_may_be_said_twice_and_proxies_have_three_flags() -> None:
    assert flags.of_key(flags.parse(["--add-runtime", "a=/b"]), "runtimes") is None
    assert flags.of_key(flags.parse(["--no-proxy=x"]), "proxies")
    assert flags.of_key(flags.parse(["--new-thing", "x"]), "new-things")


def test_flags_of_the_help() -> None:
    text = "Options:\n      --bip string    Specify\n  -b, --bridge string\n      --containerd string  --not-this\n"
    assert flags.known_from_help(text) == {"bip", "bridge", "containerd"}


def test_flags_of_a_unit() -> None:
    text = "ExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS ; ignore_errors=no ; }"
    assert flags.from_unit(text) == ["-H", "fd://", "$DOCKER_OPTS"]
    assert flags.from_unit("ExecStart=") == []


@pytest.mark.parametrize(
    ("hosts", "path"),
    [
        ([], "/var/run/docker.sock"),
        (["fd://"], "/var/run/docker.sock"),
        (["tcp://0.0.0.0:2376", "unix:///run/x.sock"], "/run/x.sock"),
        (["tcp://0.0.0.0:2376"], ""),
    ],
)
def test_where_it_answers(hosts: list[str], path: str) -> None:
    assert flags.local_address(hosts) == path


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ['time="x" level=info msg="fine"', "failed to start daemon: no such driver", ""],
            "failed to start daemon: no such driver",
        ),
        (
            ['time="x" level=error msg="cannot \\"do\\" it" error="no way"', 'time="x" level=warning msg="w"'],
            'cannot "do" it: no way',
        ),
        (['time="x" level=fatal msg="unable: http://me:hunter22@x"'], "unable: http://me:******@x"),
        (['time="x" level=info msg="fine"'], ""),
    ],
)
def test_a_daemons_last_words(lines: list[str], words: str) -> None:
    assert last_words(lines) == words
