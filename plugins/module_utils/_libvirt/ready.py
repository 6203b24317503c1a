# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a guest can be reached: TCP, then SSH's banner, then the host key that we made, then a login. Needs no libvirt.

The last two rungs are climbed by one run of the ssh client, which accepts the pinned key alone. Without a private key nobody is
logged in, and yet the host key is proven: ssh hands over no request before the server has signed the exchange with the private half,
and is then told `Permission denied`. (ssh-keyscan needs no login either, but ends before that signature, and so would also take
the key from somebody who merely repeats it.) What a guest says before its key is proven never counts for more than a reason to try
again. A key that is not the pinned one is an impostor's, or the image makes keys of its own: both are final at once.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Callable

from .._converge.desired import quote
from .._converge.errors import SlipwayError
from . import host_key

RUNGS = ("tcp", "banner", "host key", "auth")
FIRST_PAUSE, LAST_PAUSE = 0.2, 2.0  # seconds from one look to the next, anew at each rung; the least is always waited
LAST_PAUSE_BEFORE_TCP = 0.5  # most of a boot is spent there, and to refuse a connection costs the guest nothing
# sshd >= 9.8 shuts out an address that fails to log in too often: https://man.openbsd.org/sshd_config#PerSourcePenalties
PAUSE_AFTER_REFUSAL = 6.0
CONNECT = 2.0  # seconds for a connection: a guest that comes up meanwhile is asked anew sooner than TCP would by itself
# Seconds for the banner, more with each attempt: a forwarded port answers before its guest does, and is then best asked anew.
FIRST_BANNER, LAST_BANNER = 1.0, 5.0
LOGIN = 20.0
LINES_BEFORE_BANNER = 20  # RFC 4253, 4.2, lets a server say something first
SHOWN = 300  # characters of what others say


class NotThere(Exception):
    """A rung that could not be climbed, which may be otherwise in a moment."""

    def __init__(self, rung: str, evidence: str) -> None:
        self.rung = rung
        self.evidence = evidence
        super().__init__(f"{rung}: {evidence}")


@dataclass(frozen=True)
class Verdict:
    """How far it went. ``rung`` is the highest one that was reached when ``ok``, else the one that was not."""

    ok: bool
    rung: str
    evidence: str
    final: bool = False  # another attempt cannot end otherwise

    def __str__(self) -> str:
        """What a message says of it."""
        return f"{'ready' if self.ok else 'not ready'} at the rung {quote(self.rung)}: {self.evidence}"


def probe(address: str, port: int = 22, seconds: float = LAST_BANNER) -> str:
    """Return the line by which an SSH server says what it is; raises NotThere, within about these seconds."""
    deadline = time.monotonic() + seconds
    try:
        connection = socket.create_connection((address, port), timeout=min(CONNECT, seconds))
    except socket.timeout:
        raise NotThere("tcp", f"{address} port {port} does not answer") from None
    except OSError as error:
        raise NotThere("tcp", f"{address} port {port}: {error.strerror or error}") from None
    heard = b""
    with connection:
        try:
            while True:
                lines = heard.split(b"\n")
                for line in lines[:-1]:
                    if line.startswith(b"SSH-"):
                        return shown(line.decode(errors="replace"))
                if len(lines) > LINES_BEFORE_BANNER or len(heard) > 1 << 14:
                    raise NotThere("banner", f"what answers at {address} port {port} is not SSH: {_text(heard)}")
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                more = connection.recv(4096)
                if not more:
                    said = f" after {_text(heard)}" if heard else ""
                    raise NotThere("banner", f"{address} port {port} hangs up without SSH's banner{said}")
                heard += more
                if time.monotonic() >= deadline:
                    raise socket.timeout
        except socket.timeout:
            said = f", only {_text(heard)}" if heard else ""
            raise NotThere("banner", f"{address} port {port} sends no SSH banner for {seconds:g} s{said}") from None
        except OSError as error:
            raise NotThere("banner", f"{address} port {port}: {error.strerror or error}") from None


def _text(heard: bytes) -> str:
    return quote(shown(heard.decode(errors="replace")))


def ssh_ready(
    address: str,
    user: str,
    public_host_key: str,
    private_key: str | None = None,
    timeout: float = 120.0,
    *,
    port: int = 22,
    alias: str = "",
    now: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] | None = None,
) -> Verdict:
    """Climb as far as the host key, or with a private key's path as far as a login; give up after ``timeout`` seconds.

    ``wait`` pauses for some seconds and may say True to end the waiting, as threading.Event.wait does.
    """
    wait = wait or threading.Event().wait
    arguments = host_key.known_hosts_arguments(public_host_key, alias)
    if private_key is not None and not os.path.isfile(private_key):
        return Verdict(False, "auth", f"{quote(private_key)}, the private key to log in with, is not there", final=True)
    began = now()
    best, pause, banner, patience = -1, FIRST_PAUSE, "", FIRST_BANNER
    while True:
        looked = now()
        left = max(0.1, timeout - (looked - began))
        verdict, banner = _look(address, port, user, arguments, private_key, left, banner, patience)
        if verdict.ok or verdict.final:
            return verdict
        waited, spent = now() - began, now() - looked
        if waited >= timeout:
            return Verdict(False, verdict.rung, f"{verdict.evidence} (for {waited:.0f} s)")
        if RUNGS.index(verdict.rung) > best:
            best, pause = RUNGS.index(verdict.rung), FIRST_PAUSE
        if verdict.rung == "banner":
            patience = min(patience * 1.2, LAST_BANNER)
        if verdict.rung == "auth":
            pause = PAUSE_AFTER_REFUSAL
        if wait(min(max(FIRST_PAUSE, pause - spent), timeout - waited)) is True:
            return Verdict(False, verdict.rung, f"{verdict.evidence} (the waiting was ended)")
        pause = min(pause * 1.5, LAST_PAUSE_BEFORE_TCP if verdict.rung == "tcp" else LAST_PAUSE)


def _look(
    address: str,
    port: int,
    user: str,
    arguments: Sequence[str],
    private_key: str | None,
    left: float,
    banner: str,
    patience: float,
) -> tuple[Verdict, str]:
    """One attempt at all rungs, and the banner if there was one; a server that has shown it is not probed again."""
    if not banner:
        try:
            banner = probe(address, port, min(patience, left))
        except NotThere as missing:
            return Verdict(False, missing.rung, missing.evidence), ""
    code, said = login(address, port, user, arguments, private_key, min(LOGIN, left))
    verdict = judge(code, said, f"{user}@", private_key is not None, banner)
    if not said and not verdict.ok:
        # ssh calls it no error that the other side hangs up, so it is asked once more for what it says, and not for a verdict.
        _code, said = login(address, port, user, arguments, private_key, min(LOGIN, left), "INFO")
        verdict = replace(verdict, evidence=shown(said) or verdict.evidence)
    return verdict, banner if verdict.rung == "auth" else ""


def login(
    address: str,
    port: int,
    user: str,
    arguments: Sequence[str],
    private_key: str | None,
    seconds: float,
    level: str = "ERROR",
) -> tuple[int, str]:
    """Run `true` in the guest by ssh: its exit code, 255 when ssh has failed, and what it said."""
    ours = [
        "BatchMode=yes",
        f"ConnectTimeout={max(1, int(seconds))}",  # of the connection and the key exchange
        "ControlPath=none",
        "IdentityAgent=none",
        "IdentitiesOnly=yes",
        f"LogLevel={level}",
        f"PreferredAuthentications={'publickey' if private_key else 'none'}",
        *([f'IdentityFile="{private_key}"'] if private_key else []),
    ]
    command = ["ssh", "-F", "/dev/null", "-T", *arguments, *(word for option in ours for word in ("-o", option))]
    try:
        done = subprocess.run(
            [*command, "-p", str(port), "-l", user, "--", address, "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds + 1,
            check=False,
        )
    except FileNotFoundError:
        raise SlipwayError(
            "ssh, which tells when a machine is ready, is not on this host; "
            "install openssh-client (Debian, Ubuntu), openssh-clients (Fedora, RHEL) or openssh-client-default (Alpine)"
        ) from None
    except subprocess.TimeoutExpired:
        return 255, f"no answer to ssh for {seconds:.0f} s"
    return done.returncode, done.stderr.decode(errors="replace")


def judge(code: int, said: str, user: str, with_key: bool, banner: str) -> Verdict:
    """What a run of ssh tells. Before the key is proven a server can put words in ssh's mouth, but none without some before them."""
    evidence = shown(said) or "ssh says nothing"
    if "Bad configuration option" in said:
        raise SlipwayError(
            f"ssh on this host is older than OpenSSH 8.5, which alone can pin a key: {evidence}; upgrade it"
        )
    if code != 255 and with_key:
        return Verdict(True, "auth", f"{banner}, logged in")
    if code != 255:
        return Verdict(True, "host key", f"{banner}, which lets anybody in without a key")
    if "Host key verification failed" in said:
        offered = re.search(r"SHA256:[A-Za-z0-9+/]{43}", said)
        key, said = (f" ({offered[0]})", "") if offered else ("", f". ssh said: {evidence}")
        return Verdict(
            False,
            "host key",
            f"the key that answers{key} is not the one that was made for this machine; another host has its address, "
            f"or its image makes host keys of its own{said}",
            final=True,
        )
    if re.fullmatch(re.escape(user) + r"\S+: Permission denied \([a-z0-9,@.-]*\)\.", said.strip()):
        if with_key:
            return Verdict(False, "auth", evidence)
        return Verdict(True, "host key", banner)
    # With a key, ssh may say more of it before; none of that counts as more than a failed login.
    if with_key and said.strip().endswith(").") and "Permission denied (" in said:
        return Verdict(False, "auth", evidence)
    return Verdict(False, "host key", evidence)


def shown(text: str) -> str:
    """What somebody else said, on one line, without control characters and not too long."""
    line = " ".join(text.split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."
