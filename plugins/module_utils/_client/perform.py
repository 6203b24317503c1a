# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One action, one change of the client's files. Nothing is decided here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from .._converge.action import Action
from .._converge.errors import SlipwayError
from .._converge.lock import locked
from .material import Material
from .store import Store, Stored, load

PLACE = "files of the docker CLI"  # all projects share them, so one action at a time changes any
PATIENCE = 60.0  # seconds for the others' actions, each of which takes milliseconds


class Performer:
    """Carries out actions; call it with one. ``material``: the content of the TLS files, by context."""

    def __init__(self, store: Store, material: Mapping[str, Material]) -> None:
        self.store, self.material = store, material
        self.before: dict[str, Stored] = {}  # contexts as they were before they were written
        self.config = load(store.config)  # config.json as it was
        self.verbs: Mapping[str, Callable[[Action], Any]] = {
            "create": self._create,
            "write": self._write,
            "put_back": self._put_back,
            "use": self._use,
            "use_again": lambda _action: store.put_config(self.config),
            "remove": lambda action: store.remove(action.resource[1]),
        }

    def ready(self) -> bool:
        """The files of this host are always there to be put back."""
        return True

    def tidy(self) -> None:
        """Nothing is left outside."""

    def __call__(self, action: Action) -> None:
        try:
            with locked(PLACE, os.path.realpath(self.store.folder), patience=PATIENCE):
                self.verbs[action.verb](action)
        except OSError as error:
            place = error.filename or self.store.folder
            raise SlipwayError(f"{place}: {error.strerror or error}; see to the cause, then run again") from None

    def _create(self, action: Action) -> None:
        body, name = dict(action.payload["body"]), action.resource[1]
        tls = self._content(name, body.pop("Tls"))
        self.store.remove(name)  # what an interrupted run has left
        self.store.write(name, body, tls)

    def _write(self, action: Action) -> None:
        name = action.resource[1]
        self.before[name] = self.store.read(name)
        self.store.write(name, action.payload["document"], self._content(name, action.payload["tls"]))

    def _put_back(self, action: Action) -> None:
        name = action.resource[1]
        before = self.before.get(name)
        if before is not None:
            tls = {role: before.tls.get(role) for role in ("ca", "cert", "key")}
            self.store.write(name, before.document, tls)

    def _use(self, action: Action) -> None:
        self.store.use(action.payload["name"], action.payload["tidy"])

    def _content(self, name: str, paths: Mapping[str, str]) -> dict[str, bytes | None]:
        """The content of the files of these paths; None for one that is to go."""
        return {role: self.material[name].content[role] if path else None for role, path in paths.items()}
