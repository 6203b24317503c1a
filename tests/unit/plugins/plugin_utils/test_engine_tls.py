# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of an engine and its clients: what is decided, and what comes of it in real files, at any time of their lives."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError, SpecError
from ansible_collections.slipway.docker.plugins.module_utils._daemon import flags, tls_host, tls_owned
from ansible_collections.slipway.docker.plugins.plugin_utils import authority as crypto
from ansible_collections.slipway.docker.plugins.plugin_utils import certificate, engine_tls, engine_tls_run
from ansible_collections.slipway.docker.plugins.plugin_utils.authority_store import Store
from ansible_collections.slipway.docker.plugins.plugin_utils.certificate import CLIENT, DAY, SERVER

NAME = "engine.example.org"
ADDRESSES = [
    ["eth0", "192.0.2.7"],
    ["docker0", "172.17.0.1"],
    ["br-0123456789ab", "172.18.0.1"],
    ["eth0", "2001:DB8::7"],
]
IN_IT = ("127.0.0.1", "192.0.2.7", "2001:db8::7", NAME, "localhost", "vm")


class Ends:
    """Both ends in two folders: the host's steps are done with cryptography instead of openssl, all else is the real code."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.path = folder / "authority", folder / "host"
        self.now = time.time()
        self.addresses = ADDRESSES
        self.openssl, self.stale = True, False
        self.steps: list[str] = []

    def __call__(self, check: bool = False, **options: Any) -> dict[str, Any]:
        said = {"authority": str(self.authority), "path": str(self.path), "clients": ["admin"], **options}
        return engine_tls_run.converge(engine_tls.read(said), "web1", [NAME], self.remote, check, self.now)

    def remote(self, step: str, **more: Any) -> Mapping[str, Any]:
        self.steps.append(step)
        if step == "look":
            return {"seen": self.look()}
        if step == "owned":
            return {"seen": tls_owned.look(str(self.path), more["replace"])}
        if step == "remove":
            tls_owned.remove(str(self.path), more["files"])
            return {}
        if step == "key":
            self.path.mkdir(exist_ok=True)
            tls_owned.begin(str(self.path))
            (self.path / tls_host.NEW_KEY).write_text(crypto.new_key())
            return {"public": crypto.public_of((self.path / tls_host.NEW_KEY).read_text())}
        tls_host.place(str(self.path), more["files"], more["new_key"])
        return {}

    def look(self) -> dict[str, Any]:
        files = {name: tls_host._file(str(self.path / name)) for name in tls_host.MODES}
        text, problem, public = files["key.pem"].pop("content"), files["key.pem"].pop("problem"), ""
        if files["key.pem"]["mode"] is not None and self.openssl:
            try:
                public = crypto.public_of(text)
            except ValueError:
                problem = "no private key that can be read"
        fits = tls_host.fits(str(self.path / "cert.pem"), str(self.path / "key.pem")) == ""
        return {
            "name": "vm", "addresses": self.addresses, "files": files, "public": public, "key_problem": problem, "fits": fits,
            "openssl": self.openssl, "stale": self.stale, "obstacle": "", "uid": os.geteuid(),
        }  # fmt: skip

    def tree(self) -> dict[str, tuple]:
        return {
            str(path): (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
            for folder in (self.authority, self.path)
            for path in sorted(folder.rglob("*"))
        }

    def change(self, **options: Any) -> dict[str, Any]:
        """Converge; prove that it was foretold and that there is nothing left to do."""
        before = self.tree()
        foretold = self(check=True, **options)
        assert self.tree() == before
        done = self(**options)
        for name in ("plan", "plan_id", "steps", "changed", "restart"):
            assert done[name] == foretold[name], name
        self.settled(**options)
        return done

    def settled(self, **options: Any) -> None:
        before = self.tree()
        self.steps.clear()
        done = self(**options)
        assert (
            done["plan"] == [] and not done["changed"] and len(self.steps) == 1 and self.steps[0] in ("look", "owned")
        )
        assert self.tree() == before

    def refused(self, **options: Any) -> list[str]:
        """The mistakes, said in check mode and without it, before anything is touched on either side."""
        before = self.tree()
        found = []
        for check in (True, False):
            self.steps.clear()
            with pytest.raises(SpecError) as error:
                self(check=check, **options)
            assert self.steps == ["look"] and self.tree() == before
            found.append(error.value.mistakes)
        assert found[0] == found[1]
        return found[0]

    def leaf(self, name: str = "cert.pem") -> certificate.Certificate:
        return crypto.certificates((self.path / name).read_text())[0]

    def write(self, file: str, text: str, mode: int = 0) -> None:
        path = self.path / file
        mode = mode or stat.S_IMODE(path.stat().st_mode)
        path.unlink()
        path.write_text(text)
        path.chmod(mode)

    def forge(self, **changes: Any) -> None:
        """Put a certificate of the authority on the host that is right but for these."""
        store = Store(str(self.authority))
        seen = store.look()
        said = {"usage": SERVER, "names": IN_IT, "now": self.now, "days": 90, **changes}
        public = said.pop("public", None) or crypto.public_of((self.path / "key.pem").read_text())
        self.write("cert.pem", store.issue(seen, public, **said))


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    return Ends(tmp_path)


@pytest.fixture
def made(ends: Ends) -> Ends:
    ends()
    return ends


# -- what comes of it ----------------------------------------------------------------------------------------------


def test_from_nothing(ends: Ends) -> None:
    done = ends.change()
    assert [line.split()[:2] for line in done["plan"]] == [
        ["+", "authority"],
        ["+", "client/admin"],
        ["+", "server/web1"],
    ]
    assert done["daemon_config"] == {
        "tlsverify": True,
        **{
            f"tls{key}": str(ends.path / file)
            for key, file in (("cacert", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem"))
        },
    }
    modes = {path.removeprefix(f"{ends.authority.parent}/"): mode for path, (mode, _content) in ends.tree().items()}
    assert modes == {
        "authority/ca.pem": 0o444, "authority/ca-key.pem": 0o400, "authority/clients": 0o700, "authority/clients/admin": 0o700,
        "authority/clients/admin/ca.pem": 0o444, "authority/clients/admin/cert.pem": 0o444, "authority/clients/admin/key.pem": 0o400,
        "host/.managed": 0o444, "host/ca.pem": 0o444, "host/cert.pem": 0o444, "host/key.pem": 0o400,
    }  # fmt: skip
    assert stat.S_IMODE(ends.authority.stat().st_mode) == 0o700


def test_what_the_certificates_say(made: Ends) -> None:
    (authority,) = crypto.certificates((made.authority / "ca.pem").read_text())
    server = made.leaf()
    client = crypto.certificates((made.authority / "clients/admin/cert.pem").read_text())[0]
    assert (authority.is_ca, server.is_ca, client.is_ca) == (True, False, False)
    assert {one.kind for one in (authority, server, client)} == {"P-256"}
    assert server.names == tuple(sorted(IN_IT)) and client.names == ()
    assert (server.usages, client.usages) == ({SERVER}, {CLIENT})
    for one, days in ((authority, 1825), (server, 90), (client, 30)):
        assert round((one.ends - made.now) / DAY) == days and one.begins < made.now
    assert len({one.key for one in (authority, server, client)}) == 3


def test_the_keys_stay_where_they_are(made: Ends) -> None:
    secret = [line for line in (made.authority / "ca-key.pem").read_text().splitlines() if "-" not in line]
    shown = repr(made(rotate="trust"))
    for folder in (made.path, made.authority / "clients"):
        assert not any(secret[0] in path.read_text() for path in folder.rglob("*.pem"))
    assert "PRIVATE" not in shown and secret[0] not in shown
    assert "ca-key" not in {path.name for path in made.path.iterdir()}


@pytest.mark.parametrize(
    ("days", "server", "client"), [(19, False, False), (21, False, True), (59, False, True), (61, True, True)]
)
def test_each_is_renewed_when_a_third_of_its_life_is_left(made: Ends, days: int, server: bool, client: bool) -> None:
    made.now += days * DAY
    keys = {path: content for path, content in made.tree().items() if path.endswith("key.pem")}
    plan = made()["plan"]
    made.settled()
    assert any("server/" in line for line in plan) is server and any("client/" in line for line in plan) is client
    assert {path: content for path, content in made.tree().items() if path in keys} == keys, "a key is kept"


def test_check_mode_warns_and_then_fails(made: Ends) -> None:
    made.now += 21 * DAY
    (warning,) = made(check=True)["warned"]
    assert re.fullmatch(r"client/admin: its certificate ends on .*, in (8|9) days; a run renews it", warning)
    made.now += 3 * DAY
    with pytest.raises(SpecError, match=r"client/admin: its certificate ends on .*; run without check mode"):
        made(check=True)
    made.now += 63 * DAY
    with pytest.raises(SpecError) as error:
        made(check=True)
    assert len(error.value.mistakes) == 2
    assert made()["warned"] == [] and made(check=True)["warned"] == []


def test_an_authority_that_ends_is_said_and_not_renewed(ends: Ends) -> None:
    made = ends
    made(clients=[])
    made.now -= 2 * DAY
    assert "ca.pem: is not valid before" in made.refused()[0]
    made.now += 1302 * DAY
    assert "rotate it" in made()["warned"][0]
    made.now += 520 * DAY
    made(clients=[])
    with pytest.raises(SpecError, match=r"ca\.pem: ends on .*; rotate it"):
        made(check=True)
    assert made(check=True, rotate="trust")["plan"], "what ends that is not refused"
    assert made.leaf().ends <= crypto.certificates((made.authority / "ca.pem").read_text())[0].ends
    made.settled()
    made.now += 10 * DAY
    with pytest.raises(SpecError, match=r"ca\.pem: has expired"):
        made(clients=[])


# -- wrong ones on the host ----------------------------------------------------------------------------------------

WRONG = {
    "expired": (lambda ends: ends.forge(now=ends.now - 100 * DAY), "ends: .* so it has expired -> in 90 days", False),
    "not yet valid": (lambda ends: ends.forge(now=ends.now + DAY), "begins: .* -> now", False),
    "a name is missing": (lambda ends: ends.forge(names=IN_IT[:-1]), "names: .* -> .*vm", False),
    "another's name": (lambda ends: ends.forge(names=("other.example.org",)), r"names: \[other.example.org\] -> ", False),
    "a client's": (lambda ends: ends.forge(usage=CLIENT, names=("admin",)), r"usage: \[client\] -> server", False),
    "too long": (lambda ends: ends.forge(days=1000), "ends: .*later than wanted", False),
    "not of the key": (lambda ends: ends.write("key.pem", crypto.new_key()), "certificate: not that of the key -> a new one", False),
    "key for others": (lambda ends: (ends.path / "key.pem").chmod(0o644), "key: mode 0644, so others may have it", True),
    "key of another type": (lambda ends: other_key(ends), "key: RSA 2048 -> P-256", True),
    "key cut off": (lambda ends: ends.write("key.pem", (ends.path / "key.pem").read_text()[:90]), "key: no private key that can be read", True),
    "cut off": (lambda ends: ends.write("cert.pem", ends.leaf().pem[:400]), "certificate: is cut off in the middle of a certificate", False),
    "key gone": (lambda ends: (ends.path / "key.pem").unlink(), "key: none -> a new one", True),
    "certificate gone": (lambda ends: (ends.path / "cert.pem").unlink(), "certificate: none -> a new one", False),
    "other authorities too": (lambda ends: ends.write("ca.pem", "".join(crypto.new_authority(crypto.new_key(), ends.now, 9) for _ in "12")), r"trusts: \[2 others\] -> ", False),
    "mode": (lambda ends: (ends.path / "cert.pem").chmod(0o666), "mode of cert.pem: 0666 -> 0444", False),
}  # fmt: skip


def other_key(ends: Ends) -> None:
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ends.write("key.pem", key.private_bytes(serialization.Encoding.PEM, *form).decode())
    ends.forge()


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_on_the_host_is_said_and_mended(made: Ends, wrong: str) -> None:
    spoil, words, new_key = WRONG[wrong]
    spoil(made)
    key = (made.path / "key.pem").read_text() if (made.path / "key.pem").exists() else ""
    made.steps.clear()
    foretold = None
    try:
        foretold = made(check=True)
    except SpecError as error:
        assert wrong == "expired" and "server/web1: its certificate has expired" in str(error)
    done = made()
    assert foretold is None or foretold["plan"] == done["plan"]
    assert len(done["plan"]) == 1 and re.search(words, done["plan"][0]), done["plan"]
    assert ((made.path / "key.pem").read_text() != key) is new_key
    assert done["restart"] and tls_host.fits(str(made.path / "cert.pem"), str(made.path / "key.pem")) == ""
    made.settled()


def test_a_certificate_of_another_authority_is_not_replaced_unasked(made: Ends) -> None:
    made.authority.rename(made.authority.with_name("elsewhere"))
    (mistake,) = made.refused()
    assert "was signed by CN=Docker engines" in mistake and "replace: true" in mistake
    made.change(replace=True)


def test_a_client_whose_key_others_may_have(made: Ends) -> None:
    path = made.authority / "clients/admin/key.pem"
    before = path.read_text()
    path.chmod(0o640)
    (line,) = made.change()["plan"]
    assert line.startswith("~ client/admin") and "key: mode 0640, so others may have it -> another one" in line
    assert path.read_text() != before


# -- wrong authorities ---------------------------------------------------------------------------------------------


def no_authority(ends: Ends) -> None:
    store = Store(str(ends.authority))
    put(
        ends,
        "ca.pem",
        store.issue(
            store.look(), crypto.public_of((ends.authority / "ca-key.pem").read_text()), SERVER, ("x",), ends.now, 9
        ),
    )


def rsa_authority(ends: Ends) -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + datetime.timedelta(9))
    signed = builder.add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    put(ends, "ca.pem", signed.public_bytes(serialization.Encoding.PEM).decode())
    put(ends, "ca-key.pem", key.private_bytes(serialization.Encoding.PEM, *form).decode())


def encrypted(ends: Ends) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    put(ends, "ca-key.pem", key.private_bytes(serialization.Encoding.PEM, *form).decode())


def put(ends: Ends, file: str, text: str) -> None:
    path = ends.authority / file
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    path.write_text(text)
    path.chmod(mode)


BROKEN = {
    "none that is one": (no_authority, ["ca.pem: holds CN=x, which is no authority"]),
    "key without certificate": (lambda ends: (ends.authority / "ca.pem").unlink(), ["ca.pem: is not there, so nobody knows"]),
    "certificate without key": (lambda ends: (ends.authority / "ca-key.pem").unlink(), ["ca-key.pem: is not there, so nothing can be signed"]),
    "key of another": (lambda ends: put(ends, "ca-key.pem", crypto.new_key()), ["ca-key.pem: is not the key of CN=Docker engines"]),
    "key for others": (lambda ends: (ends.authority / "ca-key.pem").chmod(0o644), ["ca-key.pem: has mode 0644, so others may have it"]),
    "cut off": (lambda ends: put(ends, "ca.pem", (ends.authority / "ca.pem").read_text()[:300]), ["ca.pem: is cut off"]),
    "no PEM": (lambda ends: put(ends, "ca.pem", "hello"), ["ca.pem: is no PEM"]),
    "RSA": (rsa_authority, ["ca.pem:  has a key of RSA 2048", "ca-key.pem: is a key of RSA 2048"]),
    "encrypted": (encrypted, ["ca-key.pem: is encrypted"]),
    "two things": (lambda ends: (put(ends, "ca.pem", ""), put(ends, "ca-key.pem", "x")), ["ca-key.pem: is no private key", "ca.pem: is empty"]),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_an_authority_that_is_broken_is_refused_before_anything_is_touched(made: Ends, broken: str) -> None:
    spoil, words = BROKEN[broken]
    spoil(made)
    mistakes = [line for line in made.refused() if line.startswith(str(made.authority))]
    assert len(mistakes) == len(words)
    for word, mistake in zip(sorted(words), mistakes):
        assert word in mistake


def test_all_mistakes_of_the_options_are_said_at_once(ends: Ends) -> None:
    with pytest.raises(SpecError) as error:
        ends(
            names=["a b", "10.0.0.300"],
            clients=["../x"],
            path="tls",
            server_days=0,
            rotate="now",
            lock_timeout=-1,
            autority="x",
        )
    assert [line.partition(":")[0] for line in error.value.mistakes] == [
        "autority", "clients[0]", "lock_timeout", "names[0]", "names[1]", "path", "rotate", "server_days",
    ]  # fmt: skip


def test_a_plan_that_was_approved_and_is_another_by_now(made: Ends) -> None:
    approved = made(check=True, rotate="trust")["plan_id"]
    made(plan_id="x")
    with pytest.raises(SlipwayError, match=r"plan_id: x was approved"):
        made(rotate="trust", plan_id="x")
    assert made(rotate="trust", plan_id=approved)["plan"]


def test_without_openssl_only_a_new_key_is_refused(made: Ends) -> None:
    made.openssl = False
    made.settled()
    made.now += 70 * DAY
    made()
    made.settled()
    (made.path / "key.pem").unlink()
    assert "there is no openssl; install the package openssl first" in made.refused()[0]


def test_a_daemon_that_has_not_read_them_is_to_be_restarted(made: Ends) -> None:
    assert not made()["restart"]
    made.stale = True
    found = made()
    assert found["restart"] and not found["changed"]


# -- removal -------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a daemon would be told when it starts; none runs."""
    monkeypatch.setattr(flags, "CONFIG_FILE", str(tmp_path / "daemon.json"))
    monkeypatch.setattr(tls_owned, "running", list)
    return tmp_path / "daemon.json"


def test_what_is_ours_goes_and_the_authority_stays(made: Ends, config: Path) -> None:
    kept = {path: content for path, content in made.tree().items() if path.startswith(str(made.authority))}
    done = made.change(state="absent", authority=None, clients=None)
    assert done["plan"] == ["- server/web1   requested"] and not done["restart"] and done["warned"] == []
    assert done["steps"] == [f"remove .managed, ca.pem, cert.pem, key.pem from {made.path}"]
    (shown,) = done["diff"]
    assert f"{made.path}/key.pem: mode 0400\n" in shown["before"] and shown["after"] == ""
    assert done["daemon_config"]["tlskey"] == str(made.path / "key.pem") and done["resources"] == {}
    assert made.tree() == kept and not made.path.exists()
    assert made.change()["plan"] == ["+ server/web1   missing"]


def test_files_of_others_stay_and_their_directory_with_them(made: Ends, config: Path) -> None:
    (made.path / "notes.txt").write_text("mine")
    made.change(state="absent")
    assert [path.name for path in made.path.iterdir()] == ["notes.txt"]


def test_a_pair_that_somebody_else_has_put_there_stays_unless_that_is_said(made: Ends, config: Path) -> None:
    theirs = crypto.new_authority(crypto.new_key(), made.now, 9)
    made.write("cert.pem", theirs)
    done = made.change(state="absent")
    assert done["steps"] == [f"remove .managed from {made.path}"]
    assert done["warned"] == [
        f"{made.path}: ca.pem, cert.pem, key.pem are not what engine_tls has put there, so they stay; replace: true removes them"
    ]
    assert sorted(path.name for path in made.path.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    assert (made.path / "cert.pem").read_text() == theirs
    made.change(state="absent", replace=True)
    assert not made.path.exists()


USES = ["tlscacert", "tlscert", "tlskey"]


@pytest.mark.parametrize("key", USES)
def test_what_a_daemon_would_start_with_stays(made: Ends, config: Path, tmp_path: Path, key: str) -> None:
    (tmp_path / "link").symlink_to(made.path)
    path = tmp_path / "link" / Path(made()["daemon_config"][key]).name
    config.write_text(json.dumps({key: str(path)}))
    before = made.tree()
    with pytest.raises(SpecError) as error:
        made(state="absent")
    (mistake,) = error.value.mistakes
    assert mistake.startswith(f"{config}: {key}: {path}: ") and "daemon_config" in mistake
    with pytest.raises(SlipwayError, match="is used; nothing was removed"):
        made.remote("remove", files=["key.pem", path.name])
    assert made.tree() == before
    foretold = made(state="absent", check=True)
    assert foretold["changed"] and foretold["warned"][0].startswith(
        f"{config}: {key}: {path}: this has to be taken out"
    )
    config.write_text("{}")
    assert made.change(state="absent")["plan"] == foretold["plan"]


def test_nothing_there_nothing_to_do(ends: Ends, config: Path) -> None:
    ends.settled(state="absent")
    ends.path.mkdir()
    ends.settled(state="absent")
    assert ends.path.is_dir(), "it was not ours"


def test_what_a_run_that_was_killed_has_left_goes_too(ends: Ends, config: Path) -> None:
    """Killed after it had made a key, and while it brought the first certificate into force."""
    ends.remote("key")
    (ends.path / ".cert.pem.slipway-new").write_text("half")
    assert len(ends.change(state="absent")["plan"]) == 1 and not ends.path.exists()
    ends.remote("key")
    tls_owned.note(str(ends.path), b"not there yet")
    (ends.path / tls_host.NEW_KEY).rename(ends.path / "key.pem")
    ends.change(state="absent")
    assert not ends.path.exists()


@pytest.mark.parametrize("left", [["cert.pem", "ca.pem", ".managed"], ["ca.pem", ".managed"], [".managed"]])
def test_a_removal_that_was_killed_goes_on(made: Ends, config: Path, left: list[str]) -> None:
    for path in made.path.iterdir():
        if path.name not in left:
            path.unlink()
    made.change(state="absent")
    assert not made.path.exists()


def test_the_last_certificate_is_known_and_the_one_before_while_that_is_there(made: Ends) -> None:
    def known() -> list[str]:
        return json.loads((made.path / ".managed").read_text())

    def there() -> str:
        return hashlib.sha256((made.path / "cert.pem").read_bytes()).hexdigest()

    for _ in range(3):
        before, made.now = there(), made.now + 61 * DAY
        made()
        assert known() == [there(), before]
    for number in range(3):  # runs that were killed before the certificate was there
        tls_owned.note(str(made.path), b"%d" % number)
        assert len(known()) == 2 and known()[1] == there()
    tls_owned.note(str(made.path))
    assert known() == [there()]


def test_what_absent_does_not_go_with_is_said(ends: Ends) -> None:
    with pytest.raises(SpecError) as error:
        ends(state="absent", rotate="trust", path="tls")
    assert [line.partition(":")[0] for line in error.value.mistakes] == ["path", "rotate"]
    for authority in (None, ""):
        with pytest.raises(SpecError, match="authority: is missing"):
            ends(authority=authority)


# -- names ---------------------------------------------------------------------------------------------------------


def test_an_address_that_is_gone_stays_until_the_next_certificate_and_a_name_does_not(made: Ends) -> None:
    made.addresses = [["eth0", "192.0.2.8"]]
    made.change()
    assert "192.0.2.7" not in made.leaf().names
    made.addresses = []
    made.settled()
    made.change(names=["other.example.org"])
    made.change()
    assert "other.example.org" not in made.leaf().names


def test_names_of_a_host() -> None:
    asked = engine_tls.read({"authority": "/x", "names": ["Docker.Example.org.", "10.0.0.1"]})
    assert engine_tls.names_of(asked, ["web_1", "not a name", "192.0.2.7"], ADDRESSES) == (
        "docker.example.org", "10.0.0.1", "web_1", "192.0.2.7", "2001:db8::7", "127.0.0.1", "localhost",
    )  # fmt: skip
    assert engine_tls.names_of(replace(asked, names=(), addresses=False), [], ADDRESSES) == ("127.0.0.1", "localhost")


def test_addresses_are_read_from_what_ip_says() -> None:
    text = (
        "2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever\n"
        "2: eth0    inet6 2001:db8::5/64 scope global temporary dynamic \\       valid_lft 86000sec\n"
        "7: veth1@if6    inet6 2001:db8::2/64 scope global \\       valid_lft forever\n"
    )
    assert tls_host.addresses(text) == [["eth0", "192.0.2.2"], ["veth1", "2001:db8::2"]]
    assert all(ipaddress.ip_address(address) for _interface, address in tls_host.addresses(text))


# -- rotation ------------------------------------------------------------------------------------------------------


def trusted_by(ends: Ends, folder: Path) -> set[str]:
    return {one.subject for one in crypto.certificates((folder / "ca.pem").read_text())}


def reaches(ends: Ends, server: Path, client: Path) -> bool:
    """Whether a client with these files and a daemon that has read those trust each other."""
    sides = [crypto.certificates((folder / "ca.pem").read_text()) for folder in (server, client)]
    leaves = [crypto.certificates((folder / "cert.pem").read_text())[0] for folder in (client, server)]
    return all(crypto.signer(leaf, side) for leaf, side in zip(leaves, sides))


def test_three_steps_to_another_authority(made: Ends) -> None:
    client = made.authority / "clients/admin"
    made(clients=["other"])
    (old,) = trusted_by(made, made.authority)
    for step, lines in (("trust", "authority client/admin client/other server/web1"), ("issue", ""), ("finish", "")):
        before = made.tree()
        done = made.change(rotate=step)
        assert [line.split()[1] for line in done["plan"]] == (
            lines or "authority client/admin client/other server/web1"
        ).split()
        assert done["restart"]
        assert len(trusted_by(made, made.path)) == len(trusted_by(made, client)) == (1 if step == "finish" else 2)
        assert (made.leaf().issuer == old) is (step == "trust")
        keys = {path for path in before if path.endswith("/key.pem")}
        assert all(made.tree()[path] == before[path] for path in keys)
        made.settled()
    (new,) = trusted_by(made, made.authority)
    assert new != old and made.leaf().issuer == new
    assert not (made.authority / "ca-next-key.pem").exists()


@pytest.mark.parametrize("step", ["trust", "issue", "finish"])
def test_whichever_side_is_first_they_trust_each_other(made: Ends, tmp_path: Path, step: str) -> None:
    """Between two sides of which one has taken a step and the other has not."""
    for earlier in ("trust", "issue", "finish"):
        before = {name: tmp_path / f"{earlier}-{name}" for name in ("host", "client")}
        shutil.copytree(made.path, before["host"])
        shutil.copytree(made.authority / "clients/admin", before["client"])
        made(rotate=earlier)
        assert reaches(made, before["host"], made.authority / "clients/admin")
        assert reaches(made, made.path, before["client"])
        if earlier == step:
            break


def test_steps_in_another_order_are_refused(ends: Ends) -> None:
    assert "there is no authority" in ends.refused(rotate="trust")[0]
    ends()
    assert ends(rotate="issue")["plan"] == ends(rotate="finish")["plan"] == []
    ends(rotate="trust")
    assert "signs nothing yet" in ends.refused(rotate="finish")[0]


def test_a_rotation_that_was_interrupted_goes_on_from_its_first_step(made: Ends) -> None:
    made(rotate="trust")
    made(rotate="issue")
    assert made(rotate="trust")["plan"] == [], "no third authority"
    assert made(rotate="issue")["plan"] == []
    made.change(rotate="finish")


@pytest.mark.parametrize("files", [["ca-next-key.pem"], ["ca-next-key.pem", "ca.pem"]])
def test_a_run_that_was_killed_while_it_made_the_authority(made: Ends, files: list[str]) -> None:
    key = (made.authority / "ca-key.pem").read_text()
    (made.authority / "ca-key.pem").rename(made.authority / "ca-next-key.pem")
    if "ca.pem" not in files:
        (made.authority / "ca.pem").unlink()
        for path in made.path.iterdir():
            path.unlink()
    done = made.change()
    assert done["plan"] and (made.authority / "ca-key.pem").read_text() == key


def test_a_run_that_was_killed_before_the_next_authority_was_trusted(made: Ends) -> None:
    (made.authority / "ca-next-key.pem").write_text(crypto.new_key())
    (made.authority / "ca-next-key.pem").chmod(0o400)
    made.settled()
    assert "has no certificate in ca.pem yet" in made.refused(rotate="issue")[0]
    made.change(rotate="trust")
    made.change(rotate="issue")
    made.change(rotate="finish")
