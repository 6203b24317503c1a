# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Mutual TLS of an engine: what is there, what is wanted -> what to do, and why. Pure.

The authority is a directory of the controller, and its files alone say where a rotation stands:

- ``ca.pem``: the certificates of all authorities that engines and clients trust, one, or two during a rotation.
- ``ca-key.pem``: the key that signs. Its certificate is the one in ca.pem that has this key.
- ``ca-next-key.pem``: the key that will sign. It is there between the first two steps of a rotation, and while an authority is made.
- ``clients/NAME``: ca.pem, cert.pem and key.pem, as DOCKER_CERT_PATH wants them.

A certificate is renewed with the key it has, so that one file is replaced in one step, and no client and no daemon ever sees a certificate
beside the key of another.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.action import (
    Action,
    Change,
    Line,
    Reason,
    Symbol,
)
from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import (
    Mistakes,
    convert_options,
    quote,
)
from ansible_collections.slipway.docker.plugins.module_utils._converge.plan import Plan
from ansible_collections.slipway.docker.plugins.module_utils._daemon.tls_spec import CA, CERT, KEY, MODES, OPTIONS
from ansible_collections.slipway.docker.plugins.plugin_utils.certificate import (
    CLIENT,
    DAY,
    KIND,
    SERVER,
    Certificate,
    day,
    differences,
)

CA_KEY, NEXT_KEY, CLIENTS = "ca-key.pem", "ca-next-key.pem", "clients"
TRUST, ISSUE, FINISH = "trust", "issue", "finish"
ALWAYS = ("127.0.0.1", "localhost")
HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
# A container network comes with a bridge, whose address nobody reaches the engine by.
INNER = re.compile(r"lo|docker\d+|docker_gwbridge|br-[0-9a-f]{12}|veth.*|virbr\d+|cni.*|cali.*|flannel.*|podman\d+")


# -- what is asked -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a task asks for."""

    absent: bool
    authority: str
    names: tuple[str, ...]
    addresses: bool
    clients: tuple[str, ...]
    path: str
    rotate: str
    replace: bool
    server_days: int
    client_days: int
    authority_days: int
    plan_id: str
    lock_timeout: float


def read(params: Mapping[str, Any]) -> Asked:
    """Read the options; raise SpecError with every mistake."""
    mistakes = Mistakes()
    said = convert_options(OPTIONS, params, "", mistakes)
    absent = said.get("state") == "absent"
    if not absent and not said.get("authority") and not params.get("authority"):
        mistakes.add("authority", "is missing; name the directory of the authority, on the controller")
    if absent and said.get("rotate"):
        mistakes.add(
            "rotate",
            f"{said['rotate']}, and state: absent, which leaves the authority as it is; leave one of the two out",
        )
    for option in ("authority", "path"):
        value = said.get(option) or ""
        if value and not value.startswith("/"):
            mistakes.add(option, f"{quote(value)} is not a path from the root; write it whole")
    for index, name in enumerate(said.get("names") or ()):
        if not is_name(name):
            mistakes.add(
                f"names[{index}]", f"{quote(name)} is neither a host name nor an IP address; write one without port"
            )
    for index, name in enumerate(said.get("clients") or ()):
        if not CLIENT_NAME.fullmatch(name):
            mistakes.add(
                f"clients[{index}]",
                f"{quote(name)} cannot be the name of a directory; write letters, digits, and . _ - @ in it",
            )
    for option, longest in (("server_days", 825), ("client_days", 825), ("authority_days", 7300)):
        days = said.get(option)
        if days is not None and not 1 <= days <= longest:
            mistakes.add(option, f"{days} is not a number of days from 1 to {longest}")
    if said.get("lock_timeout") is not None and said["lock_timeout"] < 0:
        mistakes.add("lock_timeout", f"{said['lock_timeout']:g} is less than 0 seconds")
    mistakes.refuse()
    return Asked(
        absent=absent,
        authority=os.path.normpath(said["authority"]) if said.get("authority") else "",
        names=tuple(said.get("names") or ()),
        addresses=said["addresses"],
        clients=tuple(dict.fromkeys(said.get("clients") or ())),
        path=os.path.normpath(said["path"]),
        rotate=said.get("rotate") or "",
        replace=said["replace"],
        server_days=said["server_days"],
        client_days=said["client_days"],
        authority_days=said["authority_days"],
        plan_id=said.get("plan_id") or "",
        lock_timeout=said["lock_timeout"],
    )


def daemon_config(path: str) -> dict[str, Any]:
    """The keys of daemon.json by which a daemon uses the files at a path."""
    files = {"tlscacert": CA, "tlscert": CERT, "tlskey": KEY}
    return {"tlsverify": True, **{key: os.path.join(path, file) for key, file in files.items()}}


def is_name(text: str) -> bool:
    """Whether a certificate can be for this: a host name or an IP address."""
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return bool(HOST_NAME.fullmatch(text)) and not text.rpartition(".")[2].isdigit()


def names_of(asked: Asked, known: Sequence[str], addresses: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What the engine's certificate is for, the best name first.

    ``known``: what Ansible calls the host, and what it calls itself. ``addresses``: (interface, address) of the host.
    """
    own = [
        str(ipaddress.ip_address(address))
        for interface, address in addresses
        if asked.addresses and not INNER.fullmatch(interface)
    ]
    found = [_plain(name) for name in (*asked.names, *known, *own) if is_name(name)]
    return tuple(dict.fromkeys([*found, *ALWAYS]))


def _plain(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower().rstrip(".")


# -- what is there -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, as they are in a directory. ``problem`` says why a certificate that is there cannot be read, ``key_problem``
    likewise; ``key`` is a print of the key's public half, ``modes`` are those of the files that are there, ``foreign`` who owns a file that is
    not ours."""

    certificate: Certificate | None = None
    problem: str = ""
    key: str = ""
    key_kind: str = ""
    key_problem: str = ""
    bundle: str = ""
    signer: str = ""
    modes: Mapping[str, int] = field(default_factory=dict)
    foreign: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Authority:
    """The directory. ``key`` and ``next``: prints of the public halves of its keys; ``problems``: (file, sentence)."""

    trusted: tuple[Certificate, ...] = ()
    key: str = ""
    next: str = ""
    clients: Mapping[str, Pair] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()

    def by_key(self, key: str) -> Certificate | None:
        """The trusted certificate that has this key."""
        return next((one for one in self.trusted if key and one.key == key), None)

    @property
    def bundle(self) -> str:
        """What engines and clients are given."""
        return bundle(self.trusted)


@dataclass(frozen=True)
class Host:
    """The engine's host: its ``name`` in the inventory, what its certificate is for, its ``pair``, whether it can make keys, whether a daemon
    runs that has not read its files as they are (``stale``), and what keeps files from being written (``obstacle``)."""

    name: str
    names: tuple[str, ...]
    pair: Pair = field(default_factory=Pair)
    openssl: bool = True
    stale: bool = False
    obstacle: str = ""


def bundle(trusted: Sequence[Certificate]) -> str:
    """The certificates of some authorities in one text."""
    return "".join(one.pem for one in trusted)


# -- what to do ----------------------------------------------------------------------------------------------------

MAKE, NEXT, FOLLOW, SIGN, DROP = "make", "next", "follow", "sign", "drop"


@dataclass(frozen=True)
class Leaf:
    """What becomes of one pair: whether its key and its certificate are made anew, and whether its files are written at all."""

    key: bool = False
    certificate: bool = False
    write: bool = False


@dataclass
class Decision:
    """The plan, and what it takes: steps of the authority (MAKE, NEXT, FOLLOW, SIGN, DROP), what becomes of clients and of the host."""

    plan: Plan = field(default_factory=Plan)
    authority: tuple[str, ...] = ()
    clients: Mapping[str, Leaf] = field(default_factory=dict)
    host: Leaf = field(default_factory=Leaf)
    warnings: list[str] = field(default_factory=list)

    @property
    def restart(self) -> bool:
        """Whether files come that a daemon which runs has not read."""
        return self.host.write


def decide(asked: Asked, authority: Authority, host: Host, now: float, only_looks: bool) -> Decision:
    """Compare and decide; raise SpecError with everything that forbids it, before anything is touched."""
    return _Decider(asked, authority, host, now, only_looks)()


class _Decider:
    """One decision. ``signing``: the certificate of the authority that signs when all is done, None when it has yet to be made."""

    def __init__(self, asked: Asked, authority: Authority, host: Host, now: float, only_looks: bool) -> None:
        self.asked, self.seen, self.host, self.now, self.only_looks = asked, authority, host, now, only_looks
        self.mistakes = Mistakes()
        self.lines: list[Line] = []
        self.actions: list[Action] = []
        self.warnings: list[str] = []
        self.trusted = list(authority.trusted)
        self.signing: Certificate | None = None
        self.unknown = False  # an authority has yet to be made, so nothing that is there can be of it

    def __call__(self) -> Decision:
        steps = self._authority()
        clients = {name: self._client(name, pair) for name, pair in sorted(self._wanted_clients().items())}
        leaf = self._host()
        self.mistakes.refuse()
        return Decision(Plan(tuple(self.lines), tuple(self.actions)), steps, clients, leaf, self.warnings)

    def _line(
        self,
        symbol: str,
        resource: tuple,
        steps: Sequence[str],
        changes: Sequence[Change] = (),
        reason: Reason = Reason.CHANGED,
    ) -> None:
        reason = Reason.MISSING if symbol == Symbol.CREATE else reason
        known = len(self.actions)
        new = [Action(f"{known + number}", "tls", resource, resource[-1], step) for number, step in enumerate(steps)]
        self.actions += new
        self.lines.append(Line(symbol, resource, reason, tuple(changes), actions=tuple(action.id for action in new)))

    # -- the authority -----------------------------------------------------------------------------------------

    def _authority(self) -> tuple[str, ...]:
        seen, place = self.seen, self.asked.authority
        for file, sentence in seen.problems:
            self.mistakes.add(os.path.join(place, file), sentence)
        if seen.problems:
            return ()
        steps = self._made()
        if steps is None:
            self._half()
            return ()
        if not steps and self.asked.rotate:
            steps = self._rotated()
        self.signing = self.signing or seen.by_key(seen.key)
        if self.signing is not None and not self.mistakes:
            self._age(self.signing)
        return steps

    def _made(self) -> tuple[str, ...] | None:
        """Steps by which there is an authority at all; None when what is there is no whole one, and cannot be made one."""
        seen = self.seen
        if not seen.key and not seen.trusted:
            if self.asked.rotate:
                self.mistakes.add(
                    "rotate",
                    f"{self.asked.rotate}, and there is no authority in {quote(self.asked.authority)} yet; name the directory that has it, or leave rotate out",
                )
            self.unknown = True
            self._line(Symbol.CREATE, ("authority",), ["make a key and a certificate for the authority"])
            return (MAKE,)
        if not seen.key and seen.next and [one.key for one in seen.trusted] == [seen.next]:
            self.signing = seen.trusted[0]
            self._line(
                Symbol.UPDATE, ("authority",), ["take the key that is there for its own"], reason=Reason.LEFTOVER
            )
            return (SIGN,)
        return () if seen.by_key(seen.key) else None

    def _half(self) -> None:
        seen, place = self.seen, self.asked.authority
        key, ca = os.path.join(place, CA_KEY), os.path.join(place, CA)
        if not seen.key:
            self.mistakes.add(
                key, "is not there, so nothing can be signed; bring it back, or name an empty directory to begin anew"
            )
        elif not seen.trusted:
            self.mistakes.add(
                ca,
                f"is not there, so nobody knows whose key {CA_KEY} is; bring it back, or name an empty directory to begin anew",
            )
        else:
            subjects = ", ".join(one.subject for one in seen.trusted)
            self.mistakes.add(
                key, f"is not the key of {subjects}, which {CA} holds; bring the right one of the two back"
            )

    def _rotated(self) -> tuple[str, ...]:
        """Steps of the rotation; nothing where it has been taken already."""
        seen, rotate = self.seen, self.asked.rotate
        signing, coming = seen.by_key(seen.key), seen.by_key(seen.next)
        assert signing is not None
        if rotate == TRUST and coming is None and len(seen.trusted) == 1:
            steps = ["make a key and a certificate for the next authority", "have it trusted beside the one that signs"]
            self._line(
                Symbol.UPDATE, ("authority",), steps, [Change("trusted", _subjects(seen.trusted), [*_subjects(seen.trusted), "the next one"])]
            )  # fmt: skip
            return (NEXT,)
        if rotate == ISSUE and coming is not None:
            self.signing = coming
            self._line(Symbol.UPDATE, ("authority",), ["sign with the next authority"], [Change("signs", signing.subject, coming.subject)])  # fmt: skip
            return (SIGN,)
        if rotate == ISSUE and seen.next:
            self.mistakes.add(
                "rotate",
                f"{ISSUE}, and {NEXT_KEY} has no certificate in {CA} yet; run with rotate: {TRUST} on every host first",
            )
        if rotate == FINISH and seen.next:
            self.mistakes.add(
                "rotate",
                f"{FINISH}, and the new authority signs nothing yet; run with rotate: {ISSUE} on every host first",
            )
        elif rotate == FINISH and len(seen.trusted) > 1:
            self.trusted = [signing]
            self._line(
                Symbol.UPDATE, ("authority",), ["trust the old authority no longer"], [Change("trusted", _subjects(seen.trusted), [signing.subject])]
            )  # fmt: skip
            return (DROP,)
        return ()

    def _age(self, authority: Certificate) -> None:
        """An authority is not renewed by itself, for its users have to be told one after the other."""
        place, ends = os.path.join(self.asked.authority, CA), day(authority.ends)
        way_out = "rotate it: playbook slipway.docker.rotate_certificates"
        if authority.left(self.now) <= 0:
            self.mistakes.add(
                place,
                f"has expired, on {ends}, and every certificate with it; name an empty directory, with replace: true",
            )
        elif authority.begins > self.now:
            self.mistakes.add(place, f"is not valid before {day(authority.begins)}; look at the controller's clock")
        elif self.only_looks and authority.pressing(self.now) and not self.asked.rotate:
            self.mistakes.add(place, f"ends on {ends}; {way_out}")
        elif authority.due(self.now):
            self.warnings.append(f"{place} ends on {ends}; {way_out}")

    # -- leaves ------------------------------------------------------------------------------------------------

    def _wanted_clients(self) -> dict[str, Pair]:
        """Those that are asked for; while the authority changes, all that there are, for whoever is forgotten is locked out."""
        found = {name: self.seen.clients.get(name, Pair()) for name in self.asked.clients}
        return {**self.seen.clients, **found}

    def _client(self, name: str, pair: Pair) -> Leaf:
        place = os.path.join(self.asked.authority, CLIENTS, name)
        return self._leaf(("client", name), place, pair, CLIENT, (name,), self.asked.client_days)

    def _host(self) -> Leaf:
        host, pair, path = self.host, self.host.pair, self.asked.path
        if host.obstacle:
            self.mistakes.add("path", f"{quote(path)} {host.obstacle}")
        if pair.certificate is not None and not pair.signer and not self.asked.replace:
            self.mistakes.add(
                os.path.join(path, CERT),
                f"was signed by {pair.certificate.issuer}, which is not the authority in {quote(self.asked.authority)}; name the directory "
                f"of that one or another path, or say replace: true to take the engine away from its clients",
            )
        leaf = self._leaf(("server", host.name), path, pair, SERVER, host.names, self.asked.server_days)
        if leaf.key and not host.openssl:
            self.mistakes.add(
                "path",
                f"the key is made on {host.name}, so that it never leaves it, and there is no openssl; install the package openssl first",
            )
        return leaf

    def _leaf(self, resource: tuple, place: str, pair: Pair, usage: str, names: Sequence[str], days: int) -> Leaf:
        """What becomes of one pair, with its line of the plan."""
        if pair.certificate is None and not pair.problem and not pair.key and not pair.key_problem:
            what = (
                "make a key where it is used, and sign its certificate"
                if usage == SERVER
                else "make a key and a certificate"
            )
            self._line(Symbol.CREATE, resource, [what, f"write {CA}, {CERT} and {KEY} to {place}"])
            return Leaf(True, True, True)
        key = list(self._key_changes(pair))
        changes = [*key, *self._certificate_changes(pair, usage, names, days)]
        anew = bool(changes)
        if self.unknown or bool(self._coming()):
            changes.append(
                Change("trusts", _named(pair.bundle, self.trusted), [*_subjects(self.trusted), "the new authority"])
            )
        elif pair.bundle != bundle(self.trusted):
            changes.append(Change("trusts", _named(pair.bundle, self.seen.trusted), _subjects(self.trusted)))
        changes += _modes(pair)
        if not changes:
            return Leaf()
        steps = ["make another key"] * bool(key) + ["sign another certificate"] * anew
        self._line(Symbol.UPDATE, resource, [*steps, f"write to {place}"], changes)
        return Leaf(bool(key), anew, True)

    def _coming(self) -> bool:
        seen = self.seen
        return self.asked.rotate == TRUST and not seen.by_key(seen.next) and len(seen.trusted) == 1 and bool(seen.key)

    def _key_changes(self, pair: Pair) -> Iterator[Change]:
        mode, owner = pair.modes.get(KEY, 0o400), pair.foreign.get(KEY)
        if pair.key_problem:
            yield Change("key", pair.key_problem, "another one")
        elif not pair.key:
            yield Change("key", None, "a new one")
        elif pair.key_kind != KIND:
            yield Change("key", pair.key_kind, KIND)
        elif mode & 0o077:
            yield Change("key", f"mode {mode:04o}, so others may have it", "another one")
        elif owner is not None:
            yield Change("key", f"belongs to uid {owner}, who may have it", "another one")

    def _certificate_changes(self, pair: Pair, usage: str, names: Sequence[str], days: int) -> Iterator[Change]:
        found = pair.certificate
        if found is None:
            yield Change("certificate", pair.problem or None, "a new one")
            return
        if pair.key and found.key != pair.key:
            yield Change("certificate", "not that of the key", "a new one")
        if self.unknown or self.signing is None:
            yield Change("signed_by", found.issuer, "the new authority")
            return
        for change in differences(found, usage, names, self.signing, pair.signer, days, self.now):
            if change.field != "key" or pair.key_kind in ("", KIND):  # that of a key that is made anew is said already
                yield change
        if not (self.only_looks and pair.signer):
            return
        where = f"{usage}/{self.host.name if usage == SERVER else names[0]}"
        if found.pressing(self.now):
            when = "has expired, on" if found.left(self.now) <= 0 else "ends on"
            self.mistakes.add(
                where, f"its certificate {when} {day(found.ends)}; run without check mode, which renews it"
            )
        elif found.due(self.now):
            left = int(found.left(self.now) // DAY)
            self.warnings.append(f"{where}: its certificate ends on {day(found.ends)}, in {left} days; a run renews it")


def _modes(pair: Pair) -> Iterator[Change]:
    for file, wanted in MODES.items():
        mode, owner = pair.modes.get(file), pair.foreign.get(file)
        if file == KEY and (owner is not None or (mode or 0) & 0o077):
            continue  # it gets another key
        if mode is not None and mode != wanted:
            yield Change(f"mode of {file}", f"{mode:04o}", f"{wanted:04o}")
        if owner is not None:
            yield Change(f"owner of {file}", f"uid {owner}", "ours")


def _subjects(trusted: Sequence[Certificate]) -> list[str]:
    return [one.subject for one in trusted]


def _named(text: str, known: Sequence[Certificate]) -> list[str]:
    """The authorities that a text trusts, by name as far as they are known."""
    found = [one.subject for one in known if one.pem in text]
    others = text.count("-----BEGIN CERTIFICATE-----") - len(found)
    return [*found, *([f"{others} other{'s' * (others != 1)}"] if others > 0 else [])]
