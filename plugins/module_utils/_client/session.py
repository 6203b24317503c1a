# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The provider for a client of the engine, as modules use it. Whoever asks endpoints is handed in: providers do not know each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .._converge.desired import Mistakes, Resource, quote, read_options
from .._converge.observed import Observed, World
from .._converge.option import Option
from .._converge.plan import Plan, plan
from .._converge.provider import Provider, Session, Task
from . import context, spec, store, values
from .material import ROLES
from .snapshot import snapshot

CONNECTION = (Option("config_dir", "path"),)
# verify(url, ca=, cert=, key=, skip_tls_verify=, timeout=) -> (part, sentence) for what is wrong; parts are url, ca, cert.
Verify = Callable[..., Iterable[tuple[str, str]]]
ASKED = ("unix", "tcp", "ssh")
OPTION_OF = {"url": "docker_host", **{role: option for option, role in ROLES.items()}}


@dataclass(frozen=True)
class Endpoint:
    """What a context will hold of an endpoint; ``ca``, ``cert`` and ``key`` are paths."""

    url: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    skip_tls_verify: bool = False


class ClientSession(Session):
    """A session with the docker CLI's files of one user."""

    called = "client"
    kinds: Mapping[str, Any] = {context.KIND.name: context.KIND}

    def __init__(self, store: store.Store, verify: Verify) -> None:
        self.store, self.verify = store, verify
        self.asked: dict[Endpoint, tuple[tuple[str, str], ...]] = {}
        self.wanted: list[str] = []  # contexts that are to be current

    @property
    def identity(self) -> str:
        return f"docker contexts {os.path.realpath(self.store.folder)}"

    def snapshot(self, task: Task) -> World:
        return snapshot(self.store, task.desired, task.policy)

    def look(self, task: Task) -> tuple[Plan, World]:
        world = self.snapshot(task)
        planned = plan(task.desired, world, task.policy)
        mistakes = Mistakes()
        for resource in task.desired:
            obstacle = self.store.obstacle(resource.name) if planned.actions else ""
            if obstacle:
                mistakes.add("config_dir", obstacle)
            if resource.intent["state"] != "absent":
                self._check(resource, world.get(resource.key), planned, task.settings, mistakes)
        mistakes.refuse()
        self.wanted = [resource.name for resource in task.desired if resource.fields.get("current")]
        return planned, world

    def _check(
        self,
        resource: Resource,
        observed: Observed | None,
        planned: Plan,
        settings: Mapping[str, Any],
        mistakes: Mistakes,
    ) -> None:
        """What is wrong with the endpoint that the context will have, by itself, and when it is asked."""
        endpoint = self.endpoint(resource, observed)
        if any(option in resource.fields for option in context.ENDPOINT):
            for option, sentence in refuse(endpoint, bool(settings.get("allow_insecure"))):
                mistakes.add(option, sentence)
        if mistakes or not asks(planned, resource, settings.get("verify"), endpoint):
            return
        if endpoint not in self.asked:
            self.asked[endpoint] = tuple(self.verify(**asdict(endpoint), timeout=settings["timeout"]))
        for part, sentence in self.asked[endpoint]:
            mistakes.add(OPTION_OF[part], sentence)

    def endpoint(self, resource: Resource, observed: Observed | None) -> Endpoint:
        """The endpoint that a context will have: what is said, and what is stored where nothing is."""
        fields, managed = resource.fields, (observed.managed or ()) if observed else ()

        def value(name: str) -> Any:
            option = context.KIND.option(name)
            if name in fields or observed is None or (name in managed and option.unset is not None):
                return fields.get(name, option.unset)
            return observed.value(option)

        tls = {
            role: fields.get(option) or (self.store.pem(resource.name, role) if value(option) else "")
            for option, role in ROLES.items()
        }
        return Endpoint(value("docker_host") or "", **tls, skip_tls_verify=bool(value("skip_tls_verify")))

    def performer(self, task: Task, world: World) -> Any:
        from .perform import Performer

        return Performer(self.store, {resource.name: resource.intent["material"] for resource in task.desired})

    def warnings(self, world: World) -> Iterator[str]:
        for name in self.wanted:
            yield from shadows(name, os.environ)

    def describe(self, world: World, keys: Iterable[tuple]) -> dict[str, dict]:
        found = {}
        for key in keys:
            observed = world.get(key)
            if observed is not None:
                value = {option.name: observed.value(option) for option in context.KIND.fields}
                found["/".join(key)] = {
                    "name": observed.name,
                    "path": self.store.document(observed.name),
                    "docker_host": value["docker_host"],
                    "description": value["description"],
                    "skip_tls_verify": value["skip_tls_verify"],
                    "tls": [role for role in ROLES.values() if observed.raw["Tls"].get(role)],
                    "current": value["current"],
                    "owner": observed.owner,
                }
        return found


def asks(planned: Plan, resource: Resource, said: bool | None, endpoint: Endpoint) -> bool:
    """Whether the endpoint is asked: when it is about to be stored or made current, unless the user says no, or it cannot be."""
    if said is False or values.scheme(endpoint.url) not in ASKED:
        return False
    for line in planned.lines:
        touched = {change.option for change in line.changes}
        becomes_current = "current" in touched and resource.fields.get("current")
        if line.resource == resource.key and (not line.changes or touched & {*context.ENDPOINT} or becomes_current):
            return True
    return False


def refuse(endpoint: Endpoint, insecure: bool) -> Iterator[tuple[str, str]]:
    """(option, sentence) for what no endpoint should be, whether it answers or not."""
    url, scheme = endpoint.url, values.scheme(endpoint.url)
    if scheme != "tcp":
        stored = [option for option, role in ROLES.items() if getattr(endpoint, role)]
        if stored or endpoint.skip_tls_verify:
            what = ", ".join([*stored, *(["skip_tls_verify"] if endpoint.skip_tls_verify else [])])
            yield (
                "docker_host",
                f"{quote(url)} knows no TLS, and the context has {what}; take them out (an empty text takes a file away)",
            )
        return
    if insecure or endpoint.cert:
        return
    if endpoint.ca or endpoint.skip_tls_verify:
        yield (
            "client_cert",
            f"is missing: {quote(url)} is spoken to with TLS and without a certificate of the client, so whoever reaches it would be root "
            f"there; give client_cert and client_key, or say allow_insecure: true",
        )
    elif not values.is_loopback(url):
        yield (
            "docker_host",
            f"{quote(url)} is without TLS, so whoever reaches it is root there, and whoever is on the way reads along; "
            f"give ca_path, client_cert and client_key, use ssh://, or say allow_insecure: true",
        )


def shadows(name: str, environ: Mapping[str, str]) -> Iterator[str]:
    """What in the environment keeps the CLI from using the current context."""
    if environ.get("DOCKER_HOST"):
        yield (
            f"DOCKER_HOST is {quote(environ['DOCKER_HOST'])} here, and the docker CLI takes it before the current context, {name}; "
            f"unset it where it is set, such as in ~/.profile"
        )
    elif environ.get("DOCKER_CONTEXT") not in (None, "", name):
        yield (
            f"DOCKER_CONTEXT is {quote(environ['DOCKER_CONTEXT'])} here, and the docker CLI takes it before the current context, {name}; "
            f"unset it where it is set, such as in ~/.profile"
        )


def open_session(params: Mapping[str, Any], verify: Verify) -> ClientSession:
    """Begin a session with the files that a task's options say."""
    said = read_options(CONNECTION, params)
    return ClientSession(store.Store(store.folder(said.get("config_dir"), os.environ)), verify)


def client(verify: Verify) -> Provider:
    """The provider, with what it asks endpoints by."""
    return Provider(
        connection=CONNECTION,
        task=(),
        open=lambda params: open_session(params, verify),
        read_one=lambda kind, own, params: spec.read_one(kind, own, params, CONNECTION),
        read_lists=_no_lists,
    )


def _no_lists(_params: Mapping[str, Any]) -> Task:
    raise NotImplementedError("contexts are declared one by one")
