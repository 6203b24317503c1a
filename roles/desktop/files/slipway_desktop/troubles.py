# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong, in words; when it is said; and how long to wait before the next try. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

PAUSES = (0.0, 0.2, 0.5, 1.0)  # a lost connection is made again at once, and one to a guest that is away each second
# What mostly somebody has to mend, but a guest that is just being set up mends itself. sshd holds each failed login against us for
# 5 s, from 15 s on (PerSourcePenalties in its sshd_config), which are over before the next.
LONGEST_PAUSE = 10.0
# A guest that is slow needs a patient client, one that comes back needs a new one soon: every third is patient.
PATIENCE = (4, 4, 12)
STEADY, HASTE = (
    1.0,
    2,
)  # a connection that has lived so many seconds is a success; one that has not is made anew after half a second at most


class Trouble(NamedTuple):
    """What is wrong; ``lasting``: it does not go by itself."""

    text: str
    lasting: bool = False


# What ssh says, and what it means to somebody who has only asked for an engine.
KNOWN = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "is not the machine it was: its host key is another than the pinned one; if it was made anew, run the role again",
        True,
    ),
    (
        "Host key verification failed",
        "is not let in: its host key is not pinned in the file of known hosts that the ssh configuration names",
        True,
    ),
    ("Permission denied", "does not let us in: it does not take the key that the ssh configuration names", True),
    (
        "Could not resolve hostname",
        "is not known: the ssh configuration has no such Host, or its name has no address",
        True,
    ),
    ("Bad owner or permissions", "cannot be asked: others may write the ssh configuration", True),
    ("Bad configuration option", "cannot be asked: the ssh configuration has a mistake", True),
    ("Connection refused", "is not reached: its sshd does not run (yet)", False),
    ("No route to host", "is not reached: it is off, or its address is another", False),
    ("timed out", "is not reached: it does not answer", False),
)


def of_ssh(alias: str, lines: Sequence[str]) -> Trouble:
    """Why ssh ended, by what it said."""
    for words, meaning, lasting in KNOWN:
        said = [line for line in lines if words in line]
        if said:
            return Trouble(f"{alias} {meaning} (ssh: {said[-1]})", lasting)
    if lines:
        # A connection that breaks off while sshd starts or ends has many texts; none is worth an own word.
        return Trouble(f"{alias} is not reached (ssh: {lines[-1]})")
    return Trouble(f"{alias} is not reached: ssh ended without a word")


def of_engine(alias: str, socket: str, answer: str) -> Trouble:
    """Why the engine does not answer though ssh does."""
    if answer == "silent":
        return Trouble(f"the engine of {alias} does not answer in time, though ssh does")
    return Trouble(
        f"nothing answers at {socket} of {alias}: the engine does not run (yet), its socket is not for the user of ssh,"
        " or its sshd forbids it (AllowTcpForwarding, AllowStreamLocalForwarding, PermitOpen)"
    )


def pause(failures: int, lasting: bool) -> float:
    """Seconds before the next try after so many failures one after the other."""
    if lasting:
        return min(LONGEST_PAUSE, 2.0 ** min(failures, 10) / 2)
    return PAUSES[min(failures, len(PAUSES) - 1)]


def counted(failures: int, opened: bool, seconds: float) -> int:
    """How many failures there are after another connection, that was opened or not, and lasted so long."""
    if not opened:
        return failures + 1
    return 0 if seconds > STEADY else 1


def patience(failures: int) -> int:
    """Seconds that the next ssh has to reach the guest."""
    return PATIENCE[failures % len(PATIENCE)]


def news(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What to say of troubles: each once, again when it has changed, and when it is over."""
    return [
        *(text for key, text in after.items() if before.get(key) != text),
        *(f"over: {text}" for key, text in before.items() if key not in after),
    ]
