# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One task of engine_tls: look at both ends, decide, and unless in check mode do it. ``remote`` is whoever takes steps on the host."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.lock import locked
from ansible_collections.slipway.docker.plugins.module_utils._converge.report import foretold, report
from ansible_collections.slipway.docker.plugins.plugin_utils import authority as crypto
from ansible_collections.slipway.docker.plugins.plugin_utils import engine_tls as tls
from ansible_collections.slipway.docker.plugins.plugin_utils.authority_store import Store, host_pair
from ansible_collections.slipway.docker.plugins.plugin_utils.certificate import SERVER, day
from ansible_collections.slipway.docker.plugins.plugin_utils.engine_tls_removal import remove

# remote(step, **more) -> what the step on the host returned; it raises SlipwayError when that failed.
Remote = Callable[..., Mapping[str, Any]]


def converge(
    asked: tls.Asked, host: str, known: Sequence[str], remote: Remote, check: bool, now: float | None = None
) -> dict[str, Any]:
    """Converge one engine's certificates and its authority; return what the task returns. ``known``: names of the host."""
    if asked.absent:
        return remove(asked, host, remote, check)
    crypto.require()
    return _Run(asked, host, known, remote, check, time.time() if now is None else now)()


class _Run:
    def __init__(
        self, asked: tls.Asked, host: str, known: Sequence[str], remote: Remote, check: bool, now: float
    ) -> None:
        self.asked, self.host, self.known, self.remote, self.check, self.now = asked, host, known, remote, check, now
        self.store = Store(asked.authority)
        self.names: tuple[str, ...] = ()  # what the certificate is for, once the host has been seen

    def __call__(self) -> dict[str, Any]:
        began = time.monotonic()
        seen = self.remote("look")["seen"]
        self.names = tls.names_of(self.asked, [*self.known, seen["name"]], seen["addresses"])
        if self.check:
            authority, decision = self._decide(seen)
            return self._result(decision, foretold(decision.plan, {}, self.asked.plan_id), authority, seen, None)
        with self._locked():
            authority, decision = self._decide(seen)
            result = foretold(decision.plan, {}, self.asked.plan_id)
        if not decision.plan:
            return self._result(decision, result, authority, seen, None)
        # The lock is not held while the host works: others would wait for nothing.
        new_key = decision.host.key
        public = self.remote("key")["public"] if new_key else seen["public"]
        with self._locked():
            # Another host's run may have changed the authority meanwhile, and what it did is not done twice.
            authority, decision = self._decide(seen)
            result = report(decision.plan, None, {})
            if decision.authority:
                authority = self.store.change(decision.authority, self.now, self.asked.authority_days)
            for name, leaf in decision.clients.items():
                if leaf.write:
                    self.store.issue_client(name, leaf, authority, self.now, self.asked.client_days)
            files = self._files(decision.host, authority, public, seen)
        if decision.host.write:
            self.remote("place", files=files, new_key=new_key)
        for action in result["actions"]:
            action["seconds"] = round(time.monotonic() - began, 3)
        return self._result(decision, result, authority, seen, files)

    def _locked(self) -> Any:
        return locked("engine_tls", os.path.realpath(self.asked.authority), patience=self.asked.lock_timeout)

    def _decide(self, seen: Mapping[str, Any]) -> tuple[tls.Authority, tls.Decision]:
        authority = self.store.look()
        host = tls.Host(
            self.host, self.names, host_pair(seen, authority.trusted), seen["openssl"], seen["stale"], seen["obstacle"]
        )
        return authority, tls.decide(self.asked, authority, host, self.now, self.check)

    def _files(self, leaf: tls.Leaf, authority: tls.Authority, public: str, seen: Mapping[str, Any]) -> dict[str, str]:
        """The files that the host gets."""
        if not leaf.write:
            return {}
        files = {tls.CA: authority.bundle}
        if leaf.certificate:
            if not public:  # no openssl to ask, and the key is the one of the certificate
                public = crypto.public_of_certificate(seen["files"][tls.CERT]["content"])
            files[tls.CERT] = self.store.issue(authority, public, SERVER, self.names, self.now, self.asked.server_days)
        return files

    def _result(
        self,
        decision: tls.Decision,
        result: Mapping[str, Any],
        authority: tls.Authority,
        seen: Mapping[str, Any],
        files: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        path = self.asked.path
        clients = {
            name: {"path": self.store.path(tls.CLIENTS, name)}
            for name in sorted({*authority.clients, *self.asked.clients})
        }
        text = (files or {}).get(tls.CERT) or seen["files"][tls.CERT]["content"]
        server: dict[str, Any] = {"path": path}
        if text and (not self.check or not decision.host.certificate):
            found = crypto.certificates(text)[0]
            server.update(names=list(found.names), ends=day(found.ends), signed_by=found.issuer)
        return {
            **result,
            "restart": decision.restart or bool(seen["stale"]),
            "daemon_config": tls.daemon_config(path),
            "resources": {
                f"server/{self.host}": server,
                "authority": {"path": self.asked.authority, "trusted": [one.subject for one in authority.trusted]},
                **{f"client/{name}": about for name, about in clients.items()},
            },
            "warned": decision.warnings,
        }
