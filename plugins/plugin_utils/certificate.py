# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a certificate says, and when it has to be renewed. Pure, and without cryptography."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.slipway.docker.plugins.module_utils._converge.action import Change

SERVER, CLIENT = "server", "client"
KIND = "P-256"
DAY = 86400.0
BACKDATED = 3600.0  # seconds before it was made from which a certificate counts, for hosts whose clock is behind
SHARE = 1 / 3  # of its life that is left when a certificate is renewed
ALARM = 7 * DAY  # what is left when somebody has to be told


@dataclass(frozen=True)
class Certificate:
    """One certificate. ``key``: a print of its public key; ``kind``: P-256, RSA 2048 ...; ``usages``: of server, client, or an OID."""

    subject: str
    issuer: str
    begins: float
    ends: float
    names: tuple[str, ...]
    usages: frozenset[str]
    is_ca: bool
    key: str
    kind: str
    fingerprint: str
    pem: str

    def left(self, now: float) -> float:
        """Seconds until it ends; negative when it has."""
        return self.ends - now

    def due(self, now: float) -> bool:
        """Whether a third of its life or less is left."""
        return self.left(now) <= (self.ends - self.begins) * SHARE

    def pressing(self, now: float) -> bool:
        """Whether so little is left that whoever only looks has to be told."""
        return self.left(now) < min(ALARM, (self.ends - self.begins) * SHARE)


def day(seconds: float) -> str:
    """A moment as a person reads it."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def is_address(name: str) -> bool:
    """Whether a name of a certificate is an IP address."""
    return ":" in name or name.replace(".", "").isdigit()


def lacking(wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    """What has to become otherwise for a certificate to be for these names; empty when it is.

    Names must be these and no others. An address that the host had once may stay: nobody else has the key, and a lease that ends
    costs no restart.
    """
    missing = [name for name in wanted if name not in found]
    surplus = [name for name in found if name not in wanted and not is_address(name)]
    return sorted(missing + surplus)


def differences(
    found: Certificate, usage: str, names: Sequence[str], authority: Certificate, signer: str, days: int, now: float
) -> Iterator[Change]:
    """Why a certificate has to be made anew: each is a field of it, as it is and as it will be.

    ``signer``: the fingerprint of who signed it, among those that are trusted.
    """
    if found.kind != KIND:
        yield Change("key", found.kind, KIND)
    if found.is_ca:
        yield Change("authority", True, False)
    if found.usages != {usage}:
        yield Change("usage", sorted(found.usages) or "any", usage)
    if usage == SERVER and lacking(names, found.names):
        yield Change("names", list(found.names), list(names))
    if signer != authority.fingerprint:
        yield Change("signed_by", found.issuer, authority.subject)
    if found.begins > now:
        yield Change("begins", day(found.begins), "now")
    # One that its authority's end makes shorter is not made anew for that at each run.
    whole = min(days * DAY, authority.left(now))
    if found.left(now) <= 0:
        yield Change("ends", f"{day(found.ends)}, so it has expired", f"in {days} days")
    elif found.due(now) and found.left(now) < whole * 0.9:
        yield Change("ends", day(found.ends), f"in {days} days")
    elif found.left(now) > days * DAY * 1.1:
        yield Change("ends", f"{day(found.ends)}, later than wanted", f"in {days} days")
