# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The states of a machine, and why it came to be in them. https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainState"""

from __future__ import annotations

from collections.abc import Mapping

STATES = ("no state", "running", "blocked", "paused", "shutting down", "off", "crashed", "suspended")
RUNNING = (1, 2)
REASONS: Mapping[int, tuple[str, ...]] = {
    1: (
        "", "booted", "migrated", "restored", "restored from a snapshot", "unpaused", "migration was cancelled", "saving was cancelled",
        "woken up", "crashed", "post-copy migration", "post-copy migration failed",
    ),
    3: (
        "", "paused by a user", "migration", "being saved", "being dumped", "an I/O error", "the watchdog", "restored from a snapshot",
        "shutting down", "a snapshot is being made", "crashed", "starting up", "post-copy migration", "post-copy migration failed",
        "an API error",
    ),
    4: ("", "asked by a user"),
    5: ("", "shut down", "turned off", "crashed", "migrated", "saved", "failed to start", "restored from a snapshot", "the daemon ended it"),
    6: ("", "panicked"),
}  # fmt: skip


def name(state: int) -> str:
    """A state in a word or two; its number when libvirt has more of them by now."""
    return STATES[state] if state < len(STATES) else str(state)


def reason(state: int, why: int) -> str:
    """Why it is in that state, empty when libvirt does not say."""
    words = REASONS.get(state, ())
    return words[why] if why < len(words) else ""


def in_words(state: int, why: int) -> str:
    """Both, as a message has them: ``off (crashed)``."""
    because = reason(state, why)
    return f"{name(state)} ({because})" if because else name(state)
