# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How to reach the engine: options of every module."""

from __future__ import annotations


class ModuleDocFragment:
    """The connection options; ``_docker/connection.py`` has their rows."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - The engine's address, as C(unix:///var/run/docker.sock), C(tcp://host:2376) or C(ssh://user@host).
      - Without it the environment variable E(DOCKER_HOST) counts, then O(docker_context) or E(DOCKER_CONTEXT), then the
        current context of the docker CLI, then the local socket. This is the order of the docker CLI.
    type: str
    aliases: [docker_url]
  docker_context:
    description: The name of a context of the docker CLI, whose address and TLS files are used.
    type: str
  tls:
    description: Speak TLS without verifying the engine. Prefer O(validate_certs). Also E(DOCKER_TLS).
    type: bool
  validate_certs:
    description: Speak TLS and verify the engine's certificate. Also E(DOCKER_TLS_VERIFY).
    type: bool
    aliases: [tls_verify]
  ca_path:
    description: The certificate of the authority that signed the engine's. By default C(ca.pem) in E(DOCKER_CERT_PATH).
    type: path
    aliases: [ca_cert, tls_ca_cert, cacert_path]
  client_cert:
    description: The client's certificate. By default C(cert.pem) in E(DOCKER_CERT_PATH).
    type: path
    aliases: [tls_client_cert, cert_path]
  client_key:
    description: The key of O(client_cert). By default C(key.pem) in E(DOCKER_CERT_PATH).
    type: path
    aliases: [tls_client_key, key_path]
  tls_hostname:
    description: The name to look for in the engine's certificate, when it differs from the one that is dialled.
    type: str
  api_version:
    description: The API version to speak. By default the newest that both sides know is negotiated.
    type: str
    default: auto
    aliases: [docker_api_version]
  timeout:
    description:
      - Seconds after which a call without an answer is given up.
      - Pulls, builds, loads and pushes are given up when nothing moves for ten minutes, however long they take.
    type: float
    default: 60.0
requirements:
  - Docker Engine 20.10 or newer (API 1.41 or newer)
  - the Docker SDK for Python, C(docker) 5.0 or newer, where the module runs
  - Python 3.9 or newer where the module runs
"""
