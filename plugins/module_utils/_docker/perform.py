# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One action, one API call. Nothing is decided here."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from .._converge.action import Action
from .._converge.errors import EngineError
from .._converge.option import dig
from .._converge.secret import mask, secrets_in
from . import image, sources, values
from .engine import Engine, path, sdk
from .secret_store import Store
from .watch import Watch

SLOW = 600.0  # seconds without any sign of progress before a pull, build, load or push is given up
LATE = 3.0  # seconds in which an engine ends a creation whose answer was lost
NETWORK_FIELDS = ("Name", "Driver", "Internal", "Attachable", "Ingress", "IPAM", "EnableIPv6", "Options", "Labels")


class Performer:
    """Carries out actions on one engine; call it with an action."""

    def __init__(self, engine: Engine, secrets: Store | None = None) -> None:
        self.engine = engine
        self.secrets = secrets
        self.watch = Watch(engine)
        self.unanswered: set[tuple[str, str]] = set()  # (kind, name) of what may yet be created
        self.stopped: dict[str, float] = {}  # ID -> when we told it to stop
        self.verbs: Mapping[tuple[str, str], Callable[[Action], Any]] = {
            ("container", "create"): self._create_container,
            ("container", "rename"): lambda a: self._post(a, "rename", query={"name": a.payload["name"]}),
            ("container", "start"): lambda a: self._post(a, "start"),
            ("container", "stop"): self._stop,
            ("container", "resume"): self._resume,
            ("container", "restart"): lambda a: self._end(a, "restart"),
            ("container", "pause"): lambda a: self._post(a, "pause"),
            ("container", "unpause"): lambda a: self._post(a, "unpause"),
            ("container", "update"): self._update,
            ("container", "connect"): self._connect,
            ("container", "disconnect"): self._disconnect,
            ("container", "wait"): self._wait,
            ("container", "remove"): self._remove_container,
            ("secret", "remove"): lambda a: self.secrets.clear(a.target),
            ("network", "create"): self._create_network,
            ("network", "remove"): lambda a: self._remove("networks", a),
            ("volume", "create"): self._create_volume,
            ("volume", "remove"): lambda a: self._remove("volumes", a),
            ("image", "pull"): self._pull,
            ("image", "build"): self._build,
            ("image", "load"): self._load,
            ("image", "import"): self._import,
            ("image", "tag"): self._tag,
            ("image", "untag"): lambda a: self.engine.call("DELETE", path("images", a.payload["as"])),
            ("image", "push"): self._push,
            ("image", "remove"): lambda a: self._remove("images", a, force=a.payload.get("force")),
        }

    def ready(self) -> bool:
        """Wait, within bounds, until there is an engine to talk to; False when there is none."""
        return self.engine.answers()

    def tidy(self) -> None:
        """Remove what a run has left outside the engine."""
        if self.secrets:
            self.secrets.sweep()

    def __call__(self, action: Action) -> Any:
        try:
            return self.verbs[(action.kind, action.verb)](action)
        except EngineError as error:
            if action.verb == "create" and not error.status:
                self.unanswered.add((action.kind, action.target))
            raise

    # -- containers --------------------------------------------------------------------------------------------

    def _create_container(self, action: Action) -> Any:
        body = dict(action.payload["body"])
        found = body.pop("Secrets", None)
        document = {**body.pop("Config", {}), **body}
        if found:
            host = document.get("HostConfig") or {}
            mounts = [*(host.get("Mounts") or ()), *self.secrets.write(action.target, found)]
            document["HostConfig"] = {**host, "Mounts": mounts}
        return self.engine.call("POST", "/containers/create", query={"name": action.target}, body=document)

    def _post(self, action: Action, verb: str, query: Mapping | None = None, patience: float | None = None) -> Any:
        timeout = self.engine.address.timeout + max(float(patience or 0), 0.0)
        return self.engine.call("POST", path("containers", action.target, verb), query=query, timeout=timeout)

    def _stop(self, action: Action) -> Any:
        """What is gone already does not run."""
        self.stopped[action.target] = time.monotonic()
        try:
            return self._end(action, "stop")
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def _end(self, action: Action, verb: str) -> Any:
        """A call in which the engine waits for a container to end."""
        query = {"t": action.payload.get("timeout")}
        return self._post(action, verb, query=query, patience=action.payload["grace"])

    def _resume(self, action: Action) -> Any:
        """Start what was stopped. A stop whose end nobody saw may still be under way, and would end what is started too soon."""
        deadline = time.monotonic() + action.payload["grace"] + 1
        while self._runs(action.target) and time.monotonic() < deadline and self._stopping(action.target):
            time.sleep(0.1)
        return self._post(action, "start")

    def _runs(self, target: str) -> bool:
        return bool(dig(self.engine.get(path("containers", target, "json")), "State.Running"))

    def _stopping(self, target: str) -> bool:
        """Whether the engine has heard of our stop; by the engine's clock, which need not be ours."""
        if target not in self.stopped:
            return False
        with self.engine.answer("GET", "/_ping") as response:
            response.read()
            now = parsedate_to_datetime(response.headers["Date"]).timestamp()
        since = now - (time.monotonic() - self.stopped[target]) - 1
        filters = json.dumps({"container": [target], "event": ["kill"]})
        query = {"since": f"{since:.0f}", "until": f"{now + 1:.0f}", "filters": filters}  # the date has no fractions
        return bool(list(self.engine.progress("GET", "/events", query=query)))

    def _update(self, action: Action) -> Any:
        body = action.payload["body"].get("HostConfig", {})
        return self.engine.call("POST", path("containers", action.target, "update"), body=body)

    def _wait(self, action: Action) -> None:
        self.watch.until_well(
            action.target, **{key: action.payload[key] for key in ("healthy", "watch", "deadline", "hidden")}
        )

    def _remove_container(self, action: Action) -> Any:
        if self.secrets:
            self.secrets.drop(action.target)
        return self._remove("containers", action, force=action.payload.get("force"))

    def _remove(self, plural: str, action: Action, force: bool | None = None) -> Any:
        """What is gone already is as it should be."""
        try:
            return self.engine.call("DELETE", path(plural, action.target), query={"force": 1} if force else None)
        except EngineError as error:
            if error.status == 404:
                return self._if_it_comes_late(plural, action)
            if error.status == 409 and "already in progress" in str(error):
                return self._until_gone(path(plural, action.target, "json"), error)
            raise

    def _if_it_comes_late(self, plural: str, action: Action) -> None:
        """Remove what an engine has made after all: it may still be at a creation of which nobody heard the answer."""
        if (action.kind, action.target) not in self.unanswered:
            return
        self.unanswered.discard((action.kind, action.target))
        where = path(plural, action.target, "json") if plural == "containers" else path(plural, action.target)
        deadline = time.monotonic() + LATE
        while time.monotonic() < deadline:
            if self.engine.find(where) is not None:
                self._remove(plural, action, force=action.payload.get("force"))
                return
            time.sleep(0.1)

    def _until_gone(self, target: str, error: EngineError) -> None:
        """The engine is removing it already, as it does with a container that is to be removed when it ends."""
        deadline = time.monotonic() + self.engine.address.timeout
        while self.engine.find(target) is not None:
            if time.monotonic() > deadline:
                raise error
            time.sleep(0.1)

    # -- networks and volumes ----------------------------------------------------------------------------------

    def _create_network(self, action: Action) -> Any:
        body = {key: value for key, value in action.payload["body"].items() if key in NETWORK_FIELDS}
        body.update(Name=action.target, CheckDuplicate=True)
        return self.engine.call("POST", "/networks/create", body=body)

    def _create_volume(self, action: Action) -> Any:
        body = action.payload["body"]
        document = {
            "Name": action.target,
            "Driver": body.get("Driver") or "local",
            "DriverOpts": body.get("Options") or {},
            "Labels": body.get("Labels") or {},
        }
        return self.engine.call("POST", "/volumes/create", body=document)

    def _connect(self, action: Action) -> Any:
        body = {"Container": action.target, "EndpointConfig": action.payload["settings"]}
        return self.engine.call("POST", path("networks", action.payload["peer"], "connect"), body=body)

    def _disconnect(self, action: Action) -> Any:
        body = {"Container": action.target, "Force": False}
        return self.engine.call("POST", path("networks", action.payload["peer"], "disconnect"), body=body)

    # -- images ------------------------------------------------------------------------------------------------

    def _pull(self, action: Action) -> None:
        reference = action.target
        name, tag = split_reference(reference)
        query = {"fromImage": name, "tag": tag, "platform": action.payload.get("platform")}
        self._follow(
            f"pulling {reference}", "POST", "/images/create", query=query, headers=sources.credentials(reference)
        )

    def _build(self, action: Action) -> None:
        build = action.payload["build"]
        labels = {**values.texts(build.get("labels") or {}), image.SOURCE: action.payload["source"]}
        query = {
            "t": action.target,
            "dockerfile": build.get("dockerfile"),
            "buildargs": json.dumps(values.texts(build.get("args") or {})),
            "labels": json.dumps(labels),
            "target": build.get("target"),
            "networkmode": build.get("network"),
            "platform": build.get("platform"),
            "cachefrom": json.dumps(build["cache_from"]) if build.get("cache_from") else None,
            "nocache": build.get("nocache"),
            "pull": build.get("pull"),
            "rm": True,
            "forcerm": True,
        }
        root = build["path"]
        with sdk().utils.create_archive(
            root=os.path.abspath(root), files=sources.context_files(build), fileobj=tempfile.TemporaryFile()
        ) as context:
            self._follow(
                f"building {action.target}",
                "POST",
                "/build",
                query=query,
                body=context,
                headers={"Content-Type": "application/x-tar"},
                hidden=secrets_in(build.get("args") or {}),
            )

    def _load(self, action: Action) -> None:
        with open(action.payload["load_path"], "rb") as archive:
            self._follow(
                f"loading {action.target}",
                "POST",
                "/images/load",
                query={"quiet": 1},
                body=archive,
                headers={"Content-Type": "application/x-tar"},
            )
        if self.engine.find(path("images", action.target, "json")) is None:
            source = action.payload["source"]
            self.engine.call(
                "POST", path("images", source, "tag"), query=dict(zip(("repo", "tag"), split_reference(action.target)))
            )

    def _import(self, action: Action) -> None:
        name, tag = split_reference(action.target)
        changes = [*(action.payload.get("import_changes") or ()), f"LABEL {image.SOURCE}={action.payload['source']}"]
        query = [("fromSrc", "-"), ("repo", name), ("tag", tag), *(("changes", change) for change in changes)]
        with open(action.payload["import_path"], "rb") as archive:
            self._follow(
                f"importing {action.target}",
                "POST",
                "/images/create",
                query=query,
                body=archive,
                headers={"Content-Type": "application/x-tar"},
            )

    def _tag(self, action: Action) -> None:
        name, tag = split_reference(action.payload["as"])
        self.engine.call("POST", path("images", action.payload["source"], "tag"), query={"repo": name, "tag": tag})

    def _push(self, action: Action) -> None:
        reference = action.payload["reference"]
        name, tag = split_reference(reference)
        headers = sources.credentials(reference) or {
            "X-Registry-Auth": "e30="
        }  # the engine wants the header; this is {}
        self._follow(f"pushing {reference}", "POST", path("images", name, "push"), query={"tag": tag}, headers=headers)

    def _follow(self, what: str, method: str, target: str, hidden: Sequence[str] = (), **options: Any) -> None:
        """Follow a stream to its end; an error in it is a failure, though the status was 200."""
        lines: list[str] = []
        for document in self.engine.progress(method, target, timeout=SLOW, **options):
            if document.get("error"):
                told = dig(document, "errorDetail.message") or document["error"]
                raise EngineError(mask(f"{what} failed: {' '.join(told.split())}{_tail(lines)}", hidden))
            if document.get("stream"):
                lines.append(document["stream"])


def _tail(lines: Iterable[str], count: int = 8) -> str:
    kept = [line.strip() for line in "".join(lines).splitlines() if line.strip()][-count:]
    return "; its last lines: " + " | ".join(kept) if kept else ""


def split_reference(reference: str) -> tuple[str, str]:
    """(name, tag or digest) as the API wants them."""
    if "@" in reference:
        name, _at, digest = reference.partition("@")
        return name, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")
