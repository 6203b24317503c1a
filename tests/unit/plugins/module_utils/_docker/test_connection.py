# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the engine is, resolved in the docker CLI's order."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._docker.connection import resolve


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A configuration folder of the CLI with a current context and another one with TLS files."""
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "lab", "auths": {}}))
    for name, host in (("lab", "ssh://me@lab"), ("secure", "tcp://engine:2376")):
        digest = hashlib.sha256(name.encode()).hexdigest()
        meta = tmp_path / "contexts" / "meta" / digest
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    tls = tmp_path / "contexts" / "tls" / hashlib.sha256(b"secure").hexdigest() / "docker"
    tls.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tls / name).write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "environ", "url"),
    [
        ({}, {}, "ssh://me@lab"),
        ({"docker_context": "default"}, {}, "unix:///var/run/docker.sock"),
        ({"docker_context": "secure"}, {"DOCKER_HOST": "unix:///other"}, "tcp://engine:2376"),
        ({}, {"DOCKER_CONTEXT": "secure"}, "tcp://engine:2376"),
        ({}, {"DOCKER_HOST": "unix:///other", "DOCKER_CONTEXT": "secure"}, "unix:///other"),
        ({"docker_host": "tcp://here"}, {"DOCKER_HOST": "unix:///other"}, "tcp://here:2375"),
        ({"docker_host": "tcp://[::1]:2376"}, {}, "tcp://::1:2376"),
        ({"docker_host": "ssh://host:2222"}, {}, "ssh://host:2222"),
    ],
)
def test_precedence(home: Path, spec: dict[str, Any], environ: dict[str, str], url: str) -> None:
    assert resolve(spec, {"DOCKER_CONFIG": str(home), **environ}).url == url


def test_no_configuration_is_the_local_socket(tmp_path: Path) -> None:
    assert resolve({}, {"DOCKER_CONFIG": str(tmp_path / "none")}).url == "unix:///var/run/docker.sock"


def test_a_context_brings_its_tls_files(home: Path) -> None:
    address = resolve({"docker_context": "secure"}, {"DOCKER_CONFIG": str(home)})
    assert address.tls
    assert address.verify
    assert address.cert.endswith("cert.pem")


@pytest.mark.parametrize(
    ("missing", "skip", "verify"), [("", False, True), ("ca", False, True), ("", True, False), ("ca", True, False)]
)
def test_a_context_says_whether_the_engine_is_verified(home: Path, missing: str, skip: bool, verify: bool) -> None:
    """Without an authority of its own those of the host count, as the CLI has it; it is not taken unseen."""
    digest = hashlib.sha256(b"secure").hexdigest()
    endpoint = {"Host": "tcp://engine:2376", "SkipTLSVerify": skip}
    meta = home / "contexts" / "meta" / digest / "meta.json"
    meta.write_text(json.dumps({"Name": "secure", "Endpoints": {"docker": endpoint}}))
    if missing:
        (home / "contexts" / "tls" / digest / "docker" / f"{missing}.pem").unlink()
    address = resolve({"docker_context": "secure"}, {"DOCKER_CONFIG": str(home)})
    assert (address.tls, address.verify) == (True, verify)


def test_tls_files_come_from_the_environment(home: Path) -> None:
    folder = home / "certs"
    folder.mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (folder / name).write_text("x")
    address = resolve({}, {"DOCKER_HOST": "tcp://e:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)})
    assert (address.tls, address.verify, address.ca) == (True, True, str(folder / "ca.pem"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"docker_host": "docker"}, "is not an engine's address"),
        ({"docker_host": "ftp://x"}, "is not an engine's address"),
        ({"docker_host": "tcp://:99"}, "no usable host and port"),
        ({"docker_host": "tcp://a:b"}, "no usable host and port"),
        ({"docker_host": "tcp://a:99999"}, "no usable host and port"),
        ({"docker_context": "nope"}, "there is no context"),
        ({"docker_host": "tcp://a", "ca_path": "/nope"}, "is not there"),
        ({"docker_host": "tcp://a", "client_cert": "/etc/hostname"}, "go together"),
        ({"docker_host": "tcp://a", "api_version": "1"}, "is not an API version"),
        ({"docker_host": "tcp://a", "timeout": -1}, "seconds above 0"),
    ],
)
def test_refusals(home: Path, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        resolve(spec, {"DOCKER_CONFIG": str(home)})
