# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a task says of a context, before anything is looked at: right values, wrong ones, and what no endpoint should be."""

from __future__ import annotations

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._client import context, spec, values
from ansible_collections.slipway.docker.plugins.module_utils._client.session import (
    CONNECTION,
    Endpoint,
    refuse,
    shadows,
)
from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError


def mistakes(**options: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        spec.read_one(context.KIND, spec.OWN, {"name": "lab", **options}, CONNECTION)
    return caught.value.mistakes


@pytest.mark.parametrize(
    "url",
    [
        "unix:///var/run/docker.sock",
        "tcp://10.0.0.5:2376",
        "tcp://[::1]:2376",
        "ssh://me@lab.example:2222",
        "ssh://lab",
        "npipe:////./pipe/docker_engine",
    ],
)
def test_addresses_are_stored_as_they_were_written(url: str) -> None:
    task = spec.read_one(context.KIND, spec.OWN, {"name": "lab", "docker_host": url}, CONNECTION)
    assert task.desired[0].fields["docker_host"] == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ssh://me:hidden@lab", "holds a password"),
        ("ssh://lab/var/run/docker.sock", "a path after the host"),
        ("ssh://me@lab/", "a path after the host"),
        ("ssh://lab?x=1", "a query"),
        ("ssh://-oProxyCommand=x", "names no host"),
        ("ssh://lab:99999", "no usable host and port"),
        ("tcp://lab", "has no port"),
        ("tcp://me@lab:2376", "names a user"),
        ("tcp://:2376", "names no host"),
        ("unix://run/docker.sock", "no absolute path"),
        ("http://lab:2375", "is not an engine's address"),
        ("lab", "is not an engine's address"),
        ("tcp://lab:2376\n", "is not an engine's address"),
        ("", "is not an engine's address"),
    ],
)
def test_addresses_of_which_the_cli_makes_nothing(url: str, reason: str) -> None:
    (line,) = mistakes(docker_host=url)
    assert line.startswith("docker_host: ") and reason in line and "hidden" not in line


@pytest.mark.parametrize("name", ["default", "a", "-lab", "my lab", "lab/x", "läb", "../x"])
def test_names_that_the_cli_does_not_take(name: str) -> None:
    (line,) = mistakes(name=name, docker_host="ssh://lab")
    assert line.startswith("name: ")


def test_all_mistakes_are_told_at_once() -> None:
    lines = mistakes(
        name="default", docker_host="ftp://x", timeout=0, client_cert="/no/such.pem", ca_path="ca.pem", currant=True
    )
    assert [line.partition(":")[0] for line in lines] == [
        "ca_path",
        "client_cert",
        "currant",
        "docker_host",
        "name",
        "timeout",
    ]


@pytest.mark.parametrize("option", ["ca_path", "skip_tls_verify"])
@pytest.mark.parametrize("url", ["ssh://lab", "unix:///run/docker.sock"])
def test_tls_is_for_tcp(option: str, url: str) -> None:
    lines = mistakes(docker_host=url, **{option: True if option == "skip_tls_verify" else "/dev/null"})
    assert any(line.startswith(f"{option}: ") and "knows no TLS" in line for line in lines)


@pytest.mark.parametrize(("said", "missing"), [("client_cert", "client_key"), ("client_key", "client_cert")])
def test_a_certificate_goes_with_its_key(said: str, missing: str) -> None:
    lines = mistakes(docker_host="tcp://lab:2376", **{said: "/no/such.pem"})
    assert any(line.startswith(f"{missing}: is missing") for line in lines)


def test_a_named_pipe_cannot_be_asked() -> None:
    (line,) = mistakes(docker_host="npipe:////./pipe/docker_engine", verify=True)
    assert line.startswith("verify: ")


SAFE = [
    Endpoint("unix:///run/docker.sock"),
    Endpoint("ssh://lab"),
    Endpoint("npipe:////./pipe/docker_engine"),
    Endpoint("tcp://127.0.0.1:2375"),
    Endpoint("tcp://localhost:2375"),
    Endpoint("tcp://[::1]:2375"),
    Endpoint("tcp://lab:2376", ca="/ca", cert="/cert", key="/key"),
    Endpoint("tcp://lab:2376", cert="/cert", key="/key", skip_tls_verify=True),
]
UNSAFE = [
    (Endpoint("tcp://10.0.0.5:2375"), "docker_host", "without TLS"),
    (Endpoint("tcp://127.0.0.1.example:2375"), "docker_host", "without TLS"),
    (Endpoint("tcp://lab:2376", ca="/ca"), "client_cert", "without a certificate of the client"),
    (Endpoint("tcp://127.0.0.1:2376", ca="/ca"), "client_cert", "without a certificate of the client"),
    (Endpoint("tcp://lab:2376", skip_tls_verify=True), "client_cert", "without a certificate of the client"),
]


@pytest.mark.parametrize("endpoint", SAFE)
def test_endpoints_that_know_their_client(endpoint: Endpoint) -> None:
    assert not list(refuse(endpoint, insecure=False))


@pytest.mark.parametrize(("endpoint", "option", "reason"), UNSAFE)
def test_endpoints_that_serve_whoever_comes(endpoint: Endpoint, option: str, reason: str) -> None:
    ((place, sentence),) = refuse(endpoint, insecure=False)
    assert place == option and reason in sentence and "allow_insecure: true" in sentence
    assert not list(refuse(endpoint, insecure=True))


def test_stored_tls_files_do_not_go_with_another_way() -> None:
    ((place, sentence),) = refuse(Endpoint("ssh://lab", ca="/ca"), insecure=True)
    assert place == "docker_host" and "ca_path" in sentence


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, None),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}, None),
        ({"DOCKER_CONTEXT": "lab"}, None),
        ({"DOCKER_CONTEXT": "other"}, "DOCKER_CONTEXT"),
        ({"DOCKER_HOST": "tcp://x:1", "DOCKER_CONTEXT": "other"}, "DOCKER_HOST"),
    ],
)
def test_variables_that_come_before_the_current_context(environ: dict[str, str], named: str | None) -> None:
    told = list(shadows("lab", environ))
    assert len(told) == bool(named)
    assert all(line.startswith(f"{named} is ") for line in told)


def test_names_are_those_of_the_cli() -> None:
    assert [values.name(name) for name in ("lab", "my-lab_2.x+y", "00")] == ["lab", "my-lab_2.x+y", "00"]
