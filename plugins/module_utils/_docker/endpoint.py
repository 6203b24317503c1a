# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks whether an engine answers at an endpoint, by the way that the docker CLI would take, and says what keeps it from answering.

The Docker SDK is not needed: a client that has the CLI alone can be asked from, too.
"""

from __future__ import annotations

import errno
import http.client
import re
import shutil
import socket
import ssl
from collections.abc import Iterator

from .. import _certificate
from .._converge.desired import quote
from .._converge.errors import EngineError
from .._converge.lock import user
from .._unix_socket import UnixConnection
from .connection import Address, parse
from .engine import SshConnection, tls_context

Trouble = Iterator[tuple[str, str]]  # (part of the endpoint: url, ca or cert; what is wrong and the way out)
UNASKED = "or say verify: false to store it all the same"
OTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
NOT_YET, EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
ALERTS = {
    "UNKNOWN_CA": "it does not know the authority that signed it",
    "CERTIFICATE_EXPIRED": "it has expired",
    "CERTIFICATE_REQUIRED": "it wants one",
    "BAD_CERTIFICATE": "it takes it for a bad one",
}
# To ask changes nothing: no host key is noted, whatever the user's ssh_config says, and no connection is left for others.
ASKING = ("StrictHostKeyChecking=yes", "UpdateHostKeys=no", "ControlMaster=no")
# What ssh, a shell and docker on the other side say -> what is wrong and the way out. The first that fits counts.
SSH = (
    (
        r"IDENTIFICATION HAS CHANGED",
        "the host key of {host} is not the one that is known: it was made anew, or somebody else answers. Find out which; "
        "if it was made anew, forget the old one with `ssh-keygen -R {known}` and add the new one to known_hosts",
    ),
    (
        r"Host key verification failed|No \S+ host key is known",
        "the host key of {host} is unknown; compare its fingerprint with the host's, and add it to known_hosts of {user}",
    ),
    (
        r"(?i)permission denied while trying to connect to the docker|dial unix \S+: connect: permission denied",
        "{login} may not use the engine on {host}; put that user into the group docker there, or name another one in docker_host",
    ),
    (
        r"Permission denied|Too many authentication failures|Load key .* invalid",
        "{host} lets {login} not in ({told}); add the public key of {user} to authorized_keys there, or name another user in docker_host",
    ),
    (
        r"docker: (?:command )?not found|docker: No such file|docker: inaccessible|exec: .?docker|Unknown command: docker",
        "{host} has no docker command on the PATH of {login}, and the way goes through it; install the docker CLI there",
    ),
    (
        r"is not a docker command",
        "the docker command on {host} knows no `system dial-stdio`; install 18.09 or newer there",
    ),
    (
        r"(?i)cannot connect to the docker daemon|failed to connect to the docker|dial unix",
        "no engine runs on {host} ({told}); start it there (systemctl start docker)",
    ),
    (r"Could not resolve hostname", "{host} has no address that this client knows; correct the name in docker_host"),
    (
        r"Connection refused|timed out|No route to host|unreachable",
        "{host} is not reached ({told}); look whether it runs its sshd",
    ),
)


def verify(
    url: str, *, ca: str = "", cert: str = "", key: str = "", skip_tls_verify: bool = False, timeout: float = 30.0
) -> Trouble:
    """Yield what keeps the docker CLI from using the engine of an endpoint; nothing when it answers. ``ca``, ``cert`` and ``key``: paths."""
    tls = bool(ca or cert or skip_tls_verify)
    address = Address(
        **{**parse(url), "tls": tls}, verify=tls and not skip_tls_verify, ca=ca, cert=cert, key=key, timeout=timeout
    )
    yield from {"unix": _unix, "ssh": _ssh}.get(address.scheme, _tls if tls else _plain)(address)


# -- ways to the engine ----------------------------------------------------------------------------------------


def _unix(address: Address) -> Trouble:
    connection = UnixConnection(address.path, address.timeout)
    try:
        yield from _ping(connection, address)
    except FileNotFoundError:
        yield "url", f"there is no socket {address.path}; start the engine, correct the path, {UNASKED}"
    except PermissionError:
        yield (
            "url",
            f"{user()} may not use the socket {address.path}; put that user into the group that owns it, {UNASKED}",
        )
    except (OSError, http.client.HTTPException) as error:
        yield _broken(error, address)
    finally:
        connection.close()


def _plain(address: Address) -> Trouble:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=address.timeout)
    try:
        yield from _ping(connection, address)
    except (OSError, http.client.HTTPException) as error:
        yield _broken(error, address)
    finally:
        connection.close()


def _tls(address: Address) -> Trouble:
    try:
        context = tls_context(address)
    except EngineError as error:
        yield "url", str(error)
        return
    context.hostname_checks_common_name = False  # the CLI does not look at it either
    connection = http.client.HTTPSConnection(address.host, address.port, timeout=address.timeout, context=context)
    met = False
    try:
        connection.connect()
        met = True
        yield from _ping(connection, address)
    except ssl.SSLCertVerificationError as error:
        yield _untrusted(error, address)
    except (OSError, http.client.HTTPException) as error:
        shaken = met or (
            isinstance(error, (ssl.SSLError, ConnectionError)) and not isinstance(error, ConnectionRefusedError)
        )
        if isinstance(error, socket.timeout) or not shaken:
            yield _broken(error, address)
        elif met or "ALERT" in (getattr(error, "reason", None) or ""):
            yield _refused(error, address)
        else:
            yield _no_tls(error, address)
    finally:
        connection.close()


def _ssh(address: Address) -> Trouble:
    if shutil.which("ssh") is None:
        yield (
            "url",
            f"the program ssh, by which {address.url} is reached, is not on this client's PATH; install openssh-client, or take tcp:// with TLS",
        )
        return
    connection = SshConnection(address, ASKING)
    connection_error: Exception | None = None
    try:
        yield from _ping(connection, address)
    except (OSError, http.client.HTTPException) as error:
        connection_error = error
    finally:
        connection.close()
    if isinstance(connection_error, socket.timeout):
        yield _broken(connection_error, address)
    elif connection_error is not None:
        yield "url", _ssh_said(connection.complaint, connection_error, address)


# -- what went wrong -------------------------------------------------------------------------------------------


def _ping(connection: http.client.HTTPConnection, address: Address) -> Trouble:
    """Ask what every engine answers to everybody who may talk to it."""
    connection.request("GET", "/_ping")
    response = connection.getresponse()
    told = " ".join(response.read(200).decode(errors="replace").split())
    if "HTTPS server" in told or "HTTPS port" in told:
        yield (
            "url",
            f"{address.url} speaks TLS, and the context has none; give ca_path, client_cert and client_key, {UNASKED}",
        )
    elif response.status == 200 and response.headers.get("Api-Version"):
        return
    else:
        yield (
            "url",
            f"what answers at {address.url} is not an engine (status {response.status}, {quote(told)}); correct the address, {UNASKED}",
        )


def _broken(error: Exception, address: Address) -> tuple[str, str]:
    if isinstance(error, socket.timeout) or getattr(error, "errno", 0) == errno.ETIMEDOUT:
        return (
            "url",
            f"no engine answers at {address.url} within {address.timeout:g} s; look for a firewall, raise timeout, {UNASKED}",
        )
    if isinstance(error, socket.gaierror):
        return "url", f"{address.host} has no address that this client knows; correct docker_host, {UNASKED}"
    if isinstance(error, OSError) and not isinstance(error, http.client.HTTPException):
        why = error.strerror or str(error)
        return "url", f"no engine answers at {address.url} ({why}); start it, correct docker_host, {UNASKED}"
    why = " ".join(str(error).split()) or type(error).__name__
    return "url", f"what answers at {address.url} is not an engine ({why}); correct the address, {UNASKED}"


def _untrusted(error: ssl.SSLCertVerificationError, address: Address) -> tuple[str, str]:
    shown = _shown(address)
    if error.verify_code in OTHER_NAME:
        names = ", ".join(shown.names) if shown and shown.names else "no name (a common name does not count)"
        return (
            "url",
            f"the certificate that {address.url} shows is for {names}, not for {address.host}; use a name that is in it, or have it made anew with this one",
        )
    if error.verify_code == EXPIRED:
        return "url", f"the certificate that {address.url} shows has expired; renew it there"
    if error.verify_code == NOT_YET:
        return (
            "url",
            f"the certificate that {address.url} shows is not valid yet; look at the clocks of this client and of the engine",
        )
    if address.ca:
        return (
            "ca",
            f"{quote(address.ca)} did not sign the certificate that {address.url} shows ({error.verify_message}); name the authority that did",
        )
    return (
        "ca",
        f"is missing: no authority that this client trusts has signed the certificate that {address.url} shows ({error.verify_message}); give the one that did",
    )


def _refused(error: Exception, address: Address) -> tuple[str, str]:
    reason = getattr(error, "reason", None) or ""
    why = next(
        (words for alert, words in ALERTS.items() if alert in str(reason)), str(reason).lower().replace("_", " ")
    )
    why = f": {why}" if why else ", and says nothing but that"
    if not address.cert:
        return (
            "cert",
            f"is missing: {address.url} refuses a client that shows no certificate{why}; give client_cert and client_key",
        )
    return (
        "cert",
        f"{address.url} refuses the certificate {quote(address.cert)}{why}; name one that the engine's authority has signed for clients",
    )


def _no_tls(error: Exception, address: Address) -> tuple[str, str]:
    """The handshake failed: look whether it is because plain HTTP is spoken there."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=address.timeout)
    try:
        connection.request("GET", "/_ping")
        speaks = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        speaks = 0
    finally:
        connection.close()
    if speaks:
        return (
            "url",
            f"{address.url} speaks plain HTTP, no TLS; start that engine with --tlsverify, or correct the port (2376 is that of TLS)",
        )
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return "url", f"TLS with {address.url} fails ({why}); look whether an engine with --tlsverify is there, {UNASKED}"


def _shown(address: Address) -> _certificate.Certificate | None:
    """The certificate that is shown there, whoever signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent, it is only looked at
    try:
        plain = socket.create_connection((address.host, address.port), address.timeout)
        with plain, context.wrap_socket(plain, server_hostname=address.host) as secured:
            return _certificate.parse(secured.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return None


def _ssh_said(complaint: str, error: Exception, address: Address) -> str:
    told = complaint[-300:].strip() or str(error) or type(error).__name__
    known = f"[{address.host}]:{address.port}" if address.port else address.host
    words = {"host": address.host, "known": known, "login": address.user or user(), "user": user(), "told": told}
    for pattern, sentence in SSH:
        if re.search(pattern, complaint):
            return f"{sentence.format(**words)}, {UNASKED}"
    return f"no engine answers over {address.url}: {told}; does `ssh {address.host} docker version` work? Correct it, {UNASKED}"
