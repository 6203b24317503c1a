# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be declared: keys by the engine's version, types, values; every mistake says what to write."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import Mistakes
from ansible_collections.slipway.docker.plugins.module_utils._daemon import values
from ansible_collections.slipway.docker.plugins.module_utils._daemon.keys import (
    KEYS,
    LOG_OPTS,
    NOTHING,
    TABLE,
    version_of,
)

OLD, NEW = (20, 10), (29, 0)


def read(config: dict, version: tuple[int, int] | None = OLD, flags: tuple[str, ...] = ()) -> tuple[dict, list[str]]:
    mistakes = Mistakes()
    return values.read(config, version, flags, mistakes), mistakes.lines


def test_the_table_is_right_in_itself() -> None:
    assert len(KEYS) == len(TABLE)
    for key in TABLE:
        assert key.since < key.until
        assert key.reload or key.reset is NOTHING
        if key.reset is not NOTHING:
            assert read({key.name: key.reset}) == ({key.name: key.reset}, []) or key.until == (28, 0)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"live-restore": "yes"}, {"live-restore": True}),
        ({"debug": "False"}, {"debug": False}),
        ({"mtu": "1450"}, {"mtu": 1450}),
        ({"log-opts": {"max-file": 5, "compress": False}}, {"log-opts": {"max-file": "5", "compress": "false"}}),
        ({"features": {"buildkit": "true"}}, {"features": {"buildkit": True}}),
        ({"builder": {"gc": {"enabled": True}}}, {"builder": {"gc": {"enabled": True}}}),
        ({"default-address-pools": [{"base": "fd00::/48", "size": 64}]}, None),
        ({"hosts": ["fd://", "unix:///run/x.sock", "tcp://[::1]:2376"]}, None),
        ({"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 64000, "Hard": -1}}}, None),
        ({"fixed-cidr": "172.26.8.0/24", "bip": "172.26.0.1/16"}, None),
        ({"runtimes": {"kata": {"path": "/usr/bin/kata", "runtimeArgs": ["--debug"]}}}, None),
        ({"insecure-registries": ["10.0.0.0/8", "registry.example:5000"]}, None),
        ({"default-shm-size": "64M"}, None),
    ],
)
def test_right_values(config: dict, found: dict | None) -> None:
    assert read(config) == (found or config, [])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("live-restore", "certainly", '"certainly" is not true or false'),
        ("live-restore", 1, "1 is not true or false"),
        ("mtu", True, "true is not a whole number"),
        ("mtu", -1, "-1 is less than 0"),
        ("log-driver", 5, "5 is not text; write it in quotes"),
        ("dns", "1.1.1.1", '"1.1.1.1" is not a list; write ["1.1.1.1"]'),
        ("dns", ["one"], '"one" is not an IP address; write one such as'),
        ("log-opts", ["a"], '["a"] is not a dictionary; write name: value pairs'),
        ("bip", "300.1.1.1/24", '"300.1.1.1/24" is not an address with a prefix; write one such as 172.26.0.1/16'),
        ("bip", "172.26.0.1", "is not an IPv4 address with a prefix"),
        ("bip", "172.26.0.0/16", "is the network itself"),
        ("bip", "fd00::1/64", "is not an IPv4 address with a prefix"),
        ("fixed-cidr", "x", "is not a network"),
        ("default-address-pools", [{"base": "10.0.0.0/16", "size": 8}], "size 8 does not fit 10.0.0.0/16"),
        ("default-address-pools", [{"base": "10.0.0.0/16"}], "is not a pool; write"),
        ("hosts", ["nonsense://x"], '"nonsense://x" is nothing to listen at'),
        ("hosts", ["tcp://0.0.0.0:99x"], "has no usable port"),
        ("hosts", ["/var/run/docker.sock"], "write unix:///var/run/docker.sock"),
        ("labels", ["rack"], "write NAME=value"),
        ("labels", ["rack=1", "rack=2"], "is there with two values; keep one"),
        ("registry-mirrors", ["ftp://x"], "write https://HOST"),
        ("registry-mirrors", ["https://x/hub"], "write https://x"),
        ("insecure-registries", ["http://x:5000"], "write x:5000"),
        ("exec-opts", ["native.cgroupdriver"], "write NAME=value"),
        ("log-level", "silly", "is not one of panic, fatal"),
        ("default-ipc-mode", "host", "is not one of private, shareable"),
        ("default-shm-size", "67108864", 'write "64M" or "1G"'),
        ("data-root", "docker", "write one that begins with /"),
        ("default-ulimits", {"nofile": {"Soft": 9, "Hard": 1}}, "Soft 9 is more than Hard 1"),
        ("network-diagnostic-port", 70000, "is not a number from 0 to 65535"),
    ],
)
def test_wrong_values(key: str, value: Any, message: str) -> None:
    found, mistakes = read({key: value})
    assert found == {} and len(mistakes) == 1
    assert mistakes[0].startswith(f"config.{key}") and message in mistakes[0]


@pytest.mark.parametrize(
    ("key", "version", "message"),
    [
        ("proxies", OLD, "engines know it from 23.0 on, and this is 20.10"),
        ("log-format", (24, 0), "engines know it from 25.0 on, and this is 24.0"),
        ("graph", (23, 0), "engines know it no more since 23.0, and this is 23.0; write data-root"),
        ("oom-score-adjust", NEW, "OOMScoreAdjust"),
        ("live_restore", OLD, "did you mean live-restore?"),
        ("log-opt", OLD, "did you mean log-opts?"),
        ("registry-mirror", OLD, "did you mean registry-mirrors?"),
        ("liverestore", OLD, "did you mean live-restore?"),
        ("http-proxy", NEW, "goes below proxies"),
        ("max-size", OLD, "goes below log-opts"),
        ("containerd-plugin-namespace", OLD, "--containerd-plugins-namespace"),
        ("zebra", OLD, "there is no such key; docs.docker.com"),
    ],
)
def test_keys_of_other_versions_and_of_none(key: str, version: tuple[int, int], message: str) -> None:
    found, mistakes = read({key: "x"}, version)
    assert found == {} and message in mistakes[0]


def test_a_key_newer_than_the_table_is_taken_when_the_engine_has_its_flag() -> None:
    assert read({"nri-opts": "enable=true"}, (30, 0), ("nri-opts",)) == ({"nri-opts": "enable=true"}, [])
    assert read({"new-things": ["x"]}, (30, 0), ("new-thing",)) == ({"new-things": ["x"]}, [])
    assert read({"http-proxy": "x"}, (30, 0), ("http-proxy",))[1]


def test_without_an_engine_any_version_will_do() -> None:
    assert read({"proxies": {"no-proxy": "x"}, "graph": "/x"}, None)[1] == []


def test_secrets_are_not_in_the_mistakes() -> None:
    assert "hunter22" not in str(read({"log-opts": {"splunk-token": ["hunter22"]}}))
    assert "hunter22" not in str(read({"proxies": {"http-proxy": "http://me:hunter22@x", "ftp": "x"}}, NEW)[1])


def test_options_of_log_drivers() -> None:
    for driver, name, message in (
        ("local", "max-sizes", "did you mean max-size?"),
        ("local", "tag", f"it knows {', '.join(LOG_OPTS['local'])}"),
        (None, "labelz", "did you mean labels?"),
    ):
        mistakes = Mistakes()
        document = {"log-opts": {name: "x"}, **({"log-driver": driver} if driver else {})}
        values.check_log_opts(document, mistakes)
        assert message in mistakes.lines[0]
    mistakes = Mistakes()
    values.check_log_opts({"log-driver": "fluentd", "log-opts": {"fluentd-address": "x"}}, mistakes)
    values.check_log_opts({"log-opts": {"max-size": "1m", "cache-disabled": "true"}}, mistakes)
    assert not mistakes


@pytest.mark.parametrize(("text", "version"), [("20.10.24+dfsg1", (20, 10)), ("29.0.0-rc.1", (29, 0)), ("dev", None)])
def test_versions(text: str, version: tuple[int, int] | None) -> None:
    assert version_of(text) == version
