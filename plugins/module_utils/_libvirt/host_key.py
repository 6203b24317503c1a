# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest's SSH host key: made before the guest is, and pinned by whoever connects.

A public key is `ssh-ed25519 AAAA...` here, without a comment; that is what a machine's label holds. A label may come from anybody who
can write to the hypervisor, so it is looked at before it becomes part of a command.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile

from .._converge.desired import quote
from .._converge.errors import SlipwayError

TYPE = "ssh-ed25519"
# In memory where there is such a place; the first that can be written to. None is the system's own choice.
PLACES = ("/dev/shm", "/run", None)
PATIENCE = 60.0  # seconds; ssh-keygen may wait for the system's randomness

ALIAS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
# What Ansible passes to ssh when nobody says otherwise; ours comes before it.
ANSIBLE_ARGUMENTS = ("-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s")


def make(comment: str) -> tuple[str, str]:
    """Return a new key as (private text, public text); no file of it is left."""
    if not comment.isprintable():
        raise ValueError(f"{quote(comment)} cannot be a key's comment; write one line")
    directory = _directory()
    path = os.path.join(directory, "key")
    try:
        done = subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            said = " ".join(done.stdout.decode(errors="replace").split())
            raise SlipwayError(f"no host key could be made, ssh-keygen ended with {done.returncode}: {said}")
        with open(path, encoding="ascii") as private, open(path + ".pub", encoding="ascii") as public:
            return private.read(), pinned(" ".join(public.read().split()[:2]))
    except FileNotFoundError:
        raise SlipwayError(
            "ssh-keygen, which makes a machine's host key, is not on this host; "
            "install openssh-client (Debian, Ubuntu), openssh (Fedora, RHEL) or openssh-keygen (Alpine)"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlipwayError(f"no host key could be made: {error}") from None
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _directory() -> str:
    """A new directory that only we can enter."""
    trouble: OSError | None = None
    for place in PLACES:
        try:
            return tempfile.mkdtemp(prefix="slipway-", dir=place)
        except OSError as error:
            trouble = error
    raise SlipwayError(f"no host key could be made, there is no place for temporary files: {trouble}")


def pinned(public: str) -> str:
    """Return the public key when it is one; raises SlipwayError, without showing it, when it is anything else."""
    kind, _space, body = public.partition(" ")
    try:
        blob = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    head = b"\0\0\0\x0b" + TYPE.encode() + b"\0\0\0\x20"
    if kind != TYPE or not blob.startswith(head) or len(blob) != len(head) + 32:
        raise SlipwayError(
            f"the host key that is noted for this machine is not a public key of the form `{TYPE} AAAA...`; "
            f"its label was altered, rebuild the machine to get a new one"
        )
    return f"{kind} {base64.b64encode(blob).decode()}"


def fingerprint(public: str) -> str:
    """The key as ssh shows it: SHA256:..."""
    digest = hashlib.sha256(base64.b64decode(pinned(public).partition(" ")[2])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def known_hosts_arguments(public: str, alias: str = "") -> list[str]:
    """Arguments by which ssh, scp and sftp (OpenSSH >= 8.5) accept this one key and no other, and note it nowhere.

    They hold whatever the user's ssh_config says, if they come before other arguments: of two that disagree, ssh takes the
    first. With an alias, messages call the host so, whatever its address. KnownHostsCommand is run without a shell.
    """
    options = [
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "VerifyHostKeyDNS=no",  # else a record of the network's name server could vouch for another key
        "NoHostAuthenticationForLocalhost=no",  # a port that is forwarded from a guest is on localhost
        f"HostKeyAlgorithms={TYPE}",
        f"KnownHostsCommand=/bin/echo %H {pinned(public)}",
    ]
    if alias:
        if not ALIAS.fullmatch(alias):
            raise SlipwayError(f"{quote(alias)} cannot be a host's alias; use letters, digits, `.`, `_` and `-`")
        options.append(f"HostKeyAlias={alias}")
    return [word for option in options for word in ("-o", option)]


def ansible_variables(public: str, alias: str = "") -> dict[str, object]:
    """Host variables by which Ansible's ssh connection pins the key.

    Ansible puts ansible_ssh_args first, host_key_checking second and ansible_ssh_common_args last. An ansible.cfg with
    host_key_checking turned off, there or in ssh_args, would therefore win over common_args.
    """
    arguments = [*known_hosts_arguments(public, alias), *ANSIBLE_ARGUMENTS]
    return {
        "ansible_ssh_args": " ".join(shlex.quote(word) for word in arguments),
        "ansible_host_key_checking": True,
    }
