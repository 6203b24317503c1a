# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the engine is: options, environment and the CLI's contexts, resolved as the docker CLI does. No network here."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._converge.desired import quote
from .._converge.errors import SpecError
from .._converge.option import Option

DEFAULT_HOST = "unix:///var/run/docker.sock"
SCHEMES = ("unix", "tcp", "http", "https", "ssh")

OPTIONS = (
    Option("docker_host", "str", aliases=("docker_url",)),
    Option("docker_context", "str"),
    Option("tls", "bool"),
    Option("validate_certs", "bool", aliases=("tls_verify",)),
    Option("ca_path", "path", aliases=("ca_cert", "tls_ca_cert", "cacert_path")),
    Option("client_cert", "path", aliases=("tls_client_cert", "cert_path")),
    Option("client_key", "path", aliases=("tls_client_key", "key_path")),
    Option("tls_hostname", "str"),
    Option("api_version", "str", default="auto", aliases=("docker_api_version",)),
    Option("timeout", "float", default=60.0),
)


@dataclass(frozen=True)
class Address:
    """An engine's address. ``timeout`` bounds each call in seconds; ``api_version`` is auto or an upper bound such as 1.41."""

    scheme: str = "unix"
    path: str = "/var/run/docker.sock"
    host: str = ""
    port: int = 0
    user: str = ""
    tls: bool = False
    verify: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""
    hostname: str = ""
    api_version: str = "auto"
    timeout: float = 60.0

    @property
    def url(self) -> str:
        """The address as the user would write it."""
        if self.scheme == "unix":
            return f"unix://{self.path}"
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{user}{self.host}{port}"


def resolve(spec: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Address:
    """Return the address for a task's options; raise SpecError when they make no sense.

    Precedence is the CLI's: an option, DOCKER_HOST, DOCKER_CONTEXT, the current context of its config.json, the local socket.
    """
    environ = os.environ if environ is None else environ
    context: dict[str, str] = {}
    url = spec.get("docker_host")
    if not url and not spec.get("docker_context"):
        url = environ.get("DOCKER_HOST")
    if not url:
        context = _context(spec.get("docker_context") or environ.get("DOCKER_CONTEXT") or "", environ)
        url = context.get("host") or DEFAULT_HOST
    parts = parse(url)
    certs = _certificates(spec, environ, context)
    api_version = spec.get("api_version") or environ.get("DOCKER_API_VERSION") or "auto"
    _check_version(api_version)
    timeout = float(spec.get("timeout") or 60.0)
    if timeout <= 0:
        raise SpecError([f"timeout: {quote(spec.get('timeout'))} is not a number of seconds above 0; write 60"])
    return Address(**{**parts, **certs}, api_version=api_version, timeout=timeout)


def _check_version(text: str) -> None:
    pieces = text.split(".")
    if text != "auto" and not (len(pieces) == 2 and all(piece.isdigit() for piece in pieces)):
        raise SpecError([f"api_version: {quote(text)} is not an API version; write auto, or one such as 1.41"])


def parse(url: str) -> dict[str, Any]:
    """The fields of the Address of a URL; raises SpecError when there is no such address."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES or not rest:
        raise SpecError(
            [
                f"docker_host: {quote(url)} is not an engine's address; write unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host"
            ]
        )
    if scheme == "unix":
        return {"scheme": "unix", "path": rest if rest.startswith("/") else "/" + rest}
    user, _at, place = rest.rstrip("/").rpartition("@")
    if place.startswith("["):
        host, _bracket, tail = place[1:].partition("]")
        port = tail[1:] if tail.startswith(":") else ""
    else:
        host, _colon, port = place.partition(":")
    if not host or (port and not port.isdigit()) or int(port or 0) > 65535 or "/" in place:
        raise SpecError([f"docker_host: {quote(url)} has no usable host and port; write {scheme}://host:port"])
    standard = {"ssh": 0}.get(scheme, 2375)
    return {
        "scheme": "ssh" if scheme == "ssh" else "tcp",
        "path": "",
        "host": host,
        "port": int(port or standard),
        "user": user,
        "tls": scheme == "https",
    }


def _certificates(spec: Mapping[str, Any], environ: Mapping[str, str], context: Mapping[str, str]) -> dict[str, Any]:
    """TLS settings: options, else the context's, else the environment's."""
    folder = environ.get("DOCKER_CERT_PATH") or _config_folder(environ)
    verify = spec.get("validate_certs")
    tls = spec.get("tls")
    if verify is None:
        files = bool(context.get("ca") or context.get("cert"))
        verify = bool(environ.get("DOCKER_TLS_VERIFY")) or (files and not context.get("unverified"))
    if tls is None:
        tls = bool(environ.get("DOCKER_TLS")) or bool(context.get("cert") or context.get("unverified"))
    found = {
        "ca": spec.get("ca_path") or context.get("ca") or "",
        "cert": spec.get("client_cert") or context.get("cert") or "",
        "key": spec.get("client_key") or context.get("key") or "",
    }
    if (tls or verify) and not context:
        for name, file in (("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem")):
            path = os.path.join(folder, file)
            if not found[name] and os.path.exists(path):
                found[name] = path
    wanted = bool(tls or verify or found["cert"] or found["ca"])
    for name, option in (("ca", "ca_path"), ("cert", "client_cert"), ("key", "client_key")):
        if wanted and found[name] and not os.path.exists(found[name]):
            raise SpecError([f"{option}: the file {quote(found[name])} is not there"])
    if wanted and bool(found["cert"]) != bool(found["key"]):
        raise SpecError(["client_cert: a certificate and its key go together; give both client_cert and client_key"])
    extra = {"tls": True} if wanted else {}
    return (
        {
            **found,
            **extra,
            "verify": bool(verify),
            "hostname": spec.get("tls_hostname") or environ.get("DOCKER_TLS_HOSTNAME") or "",
        }
        if wanted
        else {}
    )


def _config_folder(environ: Mapping[str, str]) -> str:
    return environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")


def _context(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Read a context of the CLI: its host, the files of its TLS material and whether the engine is taken unverified; empty for the default context."""
    folder = _config_folder(environ)
    explicit = bool(name)
    if not name:
        name = _load(os.path.join(folder, "config.json")).get("currentContext") or "default"
    if name == "default":
        return {}
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = _load(os.path.join(folder, "contexts", "meta", digest, "meta.json"))
    endpoint = (meta.get("Endpoints") or {}).get("docker") or {}
    if not endpoint.get("Host"):
        source = "docker_context" if explicit else f"currentContext in {folder}/config.json"
        raise SpecError([f"{source}: there is no context {quote(name)}; `docker context ls` lists them"])
    found = {"host": endpoint["Host"], **({"unverified": "yes"} if endpoint.get("SkipTLSVerify") else {})}
    material = os.path.join(folder, "contexts", "tls", digest, "docker")
    for key, file in (("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem")):
        path = os.path.join(material, file)
        if os.path.exists(path):
            found[key] = path
    return found


def _load(path: str) -> dict:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
