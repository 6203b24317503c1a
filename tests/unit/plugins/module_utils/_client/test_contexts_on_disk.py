# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Contexts on a disk: what is planned, what is written, what stays, and what is put back."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority

from ansible_collections.slipway.docker.plugins.module_utils._client import context, spec
from ansible_collections.slipway.docker.plugins.module_utils._client.session import client
from ansible_collections.slipway.docker.plugins.module_utils._converge.action import Action
from ansible_collections.slipway.docker.plugins.module_utils._converge.apply import Run
from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError

HOST = "ssh://root@lab.example"
LAB = hashlib.sha256(b"lab").hexdigest()


@dataclass
class Client:
    """A directory of the CLI. ``asked``: endpoints that were asked; ``says``: what is wrong with them."""

    folder: Path
    says: list[tuple[str, str]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    breaks: Callable[[Action], bool] = lambda _action: False
    halfway: bool = False  # whether what breaks has done its work before it does
    steps: list[str] = field(default_factory=list)

    def verify(self, url: str, **endpoint: Any) -> Iterable[tuple[str, str]]:
        self.asked.append({"url": url, **endpoint})
        return self.says

    def plan(self, **options: Any) -> list[str]:
        """What would be done."""
        return self._run(options, check=True)

    def run(self, **options: Any) -> list[str]:
        """Do it, and prove that it was foretold and that there is nothing left to do."""
        before = tree(self.folder)
        foretold = self.plan(**options)
        assert tree(self.folder) == before, "check mode wrote something"
        done = self._run(options)
        assert done == foretold
        after = tree(self.folder)
        assert self._run(options) == []
        assert tree(self.folder) == after
        return done

    def fail(self, **options: Any) -> list[str]:
        """Be refused, with nothing touched; return the mistakes."""
        before = tree(self.folder)
        with pytest.raises(SpecError) as caught:
            self._run(options)
        assert tree(self.folder) == before
        return caught.value.mistakes

    def _run(self, options: Mapping[str, Any], check: bool = False) -> list[str]:
        provider = client(self.verify)
        params = {"name": "lab", "config_dir": str(self.folder), **options}
        task = provider.read_one(context.KIND, spec.OWN, params)
        with provider.open(params) as session:
            planned, world = session.look(task)
            if not check and planned.actions:
                performer = session.performer(task, world)

                def perform(action: Action) -> None:
                    breaks = self.breaks(action)
                    if not breaks or self.halfway:
                        performer(action)
                    if breaks:
                        raise OSError(28, "No space left on device")

                self.journal = Run(perform)(planned.actions)
                self.steps = [entry.action.step for entry in self.journal.entries]
            return planned.text()

    def kill(self, done: int, **options: Any) -> None:
        """Begin it, and be gone after so many actions."""
        provider = client(self.verify)
        params = {"name": "lab", "config_dir": str(self.folder), **options}
        task = provider.read_one(context.KIND, spec.OWN, params)
        with provider.open(params) as session:
            planned, world = session.look(task)
            performer = session.performer(task, world)
            for action in _in_order(planned.actions)[:done]:
                performer(action)

    # -- what there is -----------------------------------------------------------------------------------------

    @property
    def config(self) -> dict[str, Any]:
        return json.loads((self.folder / "config.json").read_text())

    def document(self, name: str = "lab") -> dict[str, Any]:
        digest = hashlib.sha256(name.encode()).hexdigest()
        return json.loads((self.folder / "contexts" / "meta" / digest / "meta.json").read_text())

    def put(self, name: str, host: str = "unix:///run/other.sock", **metadata: Any) -> Path:
        """A context as the CLI makes it."""
        path = self.folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        path.parent.mkdir(parents=True)
        endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
        text = json.dumps({"Name": name, "Metadata": metadata, "Endpoints": endpoints}, separators=(",", ":"))
        path.write_text(text)
        return path


def _in_order(actions: Iterable[Action]) -> list[Action]:
    """The actions of one object in the order in which they are done."""
    return sorted(actions, key=lambda action: (action.phase, action.id))


def tree(folder: Path) -> dict[str, tuple]:
    """All that lies in a directory, with modes and content."""
    return {
        str(path.relative_to(folder.parent)): shown(path)
        for path in sorted([folder, *folder.rglob("*")])
        if path.exists()
    }


def shown(path: Path) -> tuple:
    content = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_bytes()
    return oct(path.lstat().st_mode), content


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A home in which the CLI has never been run."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return Client(tmp_path / ".docker")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """TLS files that fit."""
    ca = Authority(tmp_path_factory.mktemp("files"))
    cert, key = ca.issue("client")
    return {"ca_path": ca.path, "client_cert": cert, "client_key": key}


# -- what is written -------------------------------------------------------------------------------------------


def test_a_context_is_written_as_the_cli_writes_it(home: Client, files: dict[str, str]) -> None:
    done = home.run(docker_host="tcp://lab:2376", description="a <b> & ü", current=True, **files)
    assert done == ["+ context/lab   missing"]
    assert home.steps == ["create context lab", "make context lab current"]
    assert {path: mode for path, (mode, _content) in tree(home.folder).items()} == {
        ".docker": "0o40700",
        ".docker/config.json": "0o100600",
        ".docker/contexts": "0o40755",
        ".docker/contexts/meta": "0o40755",
        f".docker/contexts/meta/{LAB}": "0o40755",
        f".docker/contexts/meta/{LAB}/meta.json": "0o100644",
        ".docker/contexts/tls": "0o40700",
        f".docker/contexts/tls/{LAB}": "0o40700",
        f".docker/contexts/tls/{LAB}/docker": "0o40700",
        f".docker/contexts/tls/{LAB}/docker/ca.pem": "0o100600",
        f".docker/contexts/tls/{LAB}/docker/cert.pem": "0o100600",
        f".docker/contexts/tls/{LAB}/docker/key.pem": "0o100600",
    }
    assert (home.folder / "config.json").read_text() == '{\n\t"auths": {},\n\t"currentContext": "lab"\n}'
    text = (home.folder / "contexts" / "meta" / LAB / "meta.json").read_text()
    assert text.startswith(r'{"Name":"lab","Metadata":{"Description":"a \u003cb\u003e \u0026 ü","Slipway":{')
    assert text.endswith('"Endpoints":{"docker":{"Host":"tcp://lab:2376","SkipTLSVerify":false}}}')
    assert (home.folder / f"contexts/tls/{LAB}/docker/key.pem").read_bytes() == Path(files["client_key"]).read_bytes()


def test_absent_leaves_nothing(home: Client, files: dict[str, str]) -> None:
    home.run(docker_host="tcp://lab:2376", current=True, **files)
    assert home.run(state="absent") == ["- context/lab   requested"]
    assert home.steps == ["make context default current", "remove context lab"]
    assert tree(home.folder) == {}


def test_absent_leaves_what_was_there_before(home: Client) -> None:
    home.folder.mkdir()
    (home.folder / "config.json").write_text('{\n  "auths": {}\n}\n')
    (home.folder / "config.json").chmod(0o640)
    home.run(docker_host=HOST, current=True)
    home.run(state="absent")
    assert tree(home.folder)[".docker/config.json"] == ("0o100640", b'{\n\t"auths": {}\n}\n')


def test_every_other_key_of_the_configuration_stays_in_its_place(home: Client) -> None:
    home.folder.mkdir()
    text = (
        '{\n\t"HttpHeaders": {"X": "1"},\n\t"auths": {"r.example": {"auth": "eDp5"}},\n\t"currentContext": "old",\n'
        '\t"credHelpers": {"a": "b"},\n\t"unknown": [1, 2.5, null, true, "\\u00fc", "\\ud83d"],\n\t"big": 12345678901234567890\n}\n'
    )
    (home.folder / "config.json").write_text(text)
    before = json.loads(text)
    home.run(docker_host=HOST, current=True)
    assert home.config == {**before, "currentContext": "lab"}
    assert list(home.config) == list(before)
    home.run(state="absent")
    assert home.config == {key: value for key, value in before.items() if key != "currentContext"}, "old is not there"


def test_a_link_stays_one(home: Client, tmp_path: Path) -> None:
    home.folder.mkdir()
    target = tmp_path / "dotfiles.json"
    target.write_text("{}")
    target.chmod(0o644)
    (home.folder / "config.json").symlink_to("../dotfiles.json")
    home.run(docker_host=HOST, current=True)
    assert os.readlink(home.folder / "config.json") == "../dotfiles.json"
    assert json.loads(target.read_text()) == {"currentContext": "lab"} and target.stat().st_mode & 0o777 == 0o644
    home.run(state="absent")
    assert json.loads(target.read_text()) == {} and (home.folder / "config.json").is_symlink()


@pytest.mark.parametrize("text", ["{", "[]", '{"a": NaN}', "\xff"])
def test_a_broken_configuration_is_left_for_you_to_mend(home: Client, text: str) -> None:
    home.folder.mkdir()
    (home.folder / "config.json").write_bytes(text.encode("latin-1"))
    (line,) = home.fail(docker_host=HOST)
    assert "config.json" in line and "mend it" in line


def test_unknown_keys_of_a_context_stay(home: Client) -> None:
    path = home.put("lab", zeta={"deep": [1]}, Description="by hand", StackOrchestrator="swarm")
    document = json.loads(path.read_text())
    document["Endpoints"]["kubernetes"] = {"Host": "https://k"}
    document["Endpoints"]["docker"]["More"] = 1
    path.write_text(json.dumps({"First": 1, **document}))
    assert home.run(docker_host=HOST) == [
        "~ context/lab   adopted, nobody owned it; docker_host: unix:///run/other.sock -> ssh://root@lab.example"
    ]
    after = home.document()
    assert list(after) == ["First", "Name", "Metadata", "Endpoints"]
    assert list(after["Metadata"]) == ["zeta", "Description", "StackOrchestrator", "Slipway"]
    assert after["Metadata"]["zeta"] == {"deep": [1]}
    assert after["Endpoints"] == {
        "docker": {"Host": HOST, "SkipTLSVerify": False, "More": 1},
        "kubernetes": {"Host": "https://k"},
    }


# -- what changes ----------------------------------------------------------------------------------------------


def test_what_is_dropped_is_taken_away(home: Client, files: dict[str, str]) -> None:
    home.run(docker_host="tcp://lab:2376", description="one", current=True, **files)
    (line,) = home.run(docker_host=HOST)
    assert "docker_host: tcp://lab:2376 -> ssh://root@lab.example" in line and "no longer said" in line
    assert not (home.folder / "contexts" / "tls").exists()
    assert "Description" not in home.document()["Metadata"] and "currentContext" not in json.dumps(tree_text(home))


def tree_text(home: Client) -> list[str]:
    return [str(content) for _mode, content in tree(home.folder).values()]


def test_what_was_never_said_is_left_alone(home: Client) -> None:
    home.put("lab", host=HOST, Description="by hand")
    home.run(current=True)
    assert home.document()["Metadata"]["Description"] == "by hand"
    assert home.document()["Endpoints"]["docker"]["Host"] == HOST


def test_a_renewed_certificate_is_stored(home: Client, files: dict[str, str], tmp_path: Path) -> None:
    home.run(docker_host="tcp://lab:2376", **files)
    cert, key = Authority(tmp_path).issue("renewed")
    renewed = {**files, "client_cert": cert, "client_key": key}
    assert home.run(docker_host="tcp://lab:2376", **renewed) == [
        f"~ context/lab   client_cert: another file -> {cert}; client_key: another file -> {key}"
    ]
    assert [item["cert"] for item in home.asked if item["cert"] == cert], "the new one is tried before it is stored"
    stored = home.folder / f"contexts/tls/{LAB}/docker"
    stored.joinpath("ca.pem").write_text("by hand")
    assert home.run(docker_host="tcp://lab:2376", **renewed) == [
        f"~ context/lab   ca_path: another file -> {files['ca_path']}"
    ]


def test_the_previous_context_comes_back(home: Client) -> None:
    home.put("colima")
    (home.folder / "config.json").write_text('{"currentContext": "colima"}')
    home.run(docker_host=HOST, current=True)
    home.run(name="desk", docker_host=HOST, current=True)
    assert home.config["currentContext"] == "desk"
    home.run(name="desk", state="absent")
    assert home.config["currentContext"] == "lab"
    assert home.run(docker_host=HOST, current=False) == ["~ context/lab   current: true -> false"]
    assert home.config["currentContext"] == "colima"


def test_a_previous_context_that_is_gone_does_not_come_back(home: Client) -> None:
    path = home.put("colima")
    (home.folder / "config.json").write_text('{"currentContext": "colima"}')
    home.run(docker_host=HOST, current=True)
    path.unlink()
    home.run(state="absent")
    assert home.config == {}


def test_a_stack_of_contexts_leaves_nothing_either(home: Client) -> None:
    home.run(docker_host=HOST, current=True)
    home.run(name="desk", docker_host=HOST, current=True)
    home.run(state="absent")
    home.run(name="desk", state="absent")
    assert tree(home.folder) == {}


def test_a_choice_by_hand_is_not_undone_by_removal(home: Client) -> None:
    home.put("colima")
    home.run(docker_host=HOST, current=True)
    (home.folder / "config.json").write_text('{"currentContext": "colima"}')
    home.run(state="absent")
    assert home.config == {"currentContext": "colima"}


def test_a_context_that_is_current_and_gone(home: Client) -> None:
    """The CLI refuses to work at all then."""
    home.folder.mkdir()
    (home.folder / "config.json").write_text('{"auths": {"r": {}}, "currentContext": "lab"}')
    assert home.run(state="absent") == ["- context/lab   requested"]
    assert home.config == {"auths": {"r": {}}}
    assert home.run(state="absent") == []


# -- whose it is -----------------------------------------------------------------------------------------------


def test_an_equal_context_that_nobody_owns_is_adopted_without_a_change(home: Client) -> None:
    home.put("lab", host=HOST)
    assert home.run(docker_host=HOST) == []
    assert home.fail(docker_host=HOST, adopt="never") == [
        'the context "lab" exists and nobody owns it; use another name, or adopt: unowned takes it over'
    ]


def test_another_owners_context_is_refused(home: Client) -> None:
    home.run(docker_host=HOST, project="theirs")
    for options in ({"docker_host": HOST}, {"state": "absent"}):
        (line,) = home.fail(**options)
        assert "belongs to the Slipway project theirs" in line
    assert home.run(docker_host="ssh://new", adopt="any") == [
        "~ context/lab   taken over from the Slipway project theirs; docker_host: ssh://root@lab.example -> ssh://new"
    ]


def test_a_copy_made_by_the_cli_is_nobodys(home: Client) -> None:
    """`docker context create --from` copies our labels, which name the context that they are for."""
    home.run(docker_host=HOST, project="theirs", current=True)
    home.put("copy", **home.document()["Metadata"])
    assert home.run(name="copy", docker_host="ssh://new")
    assert "slipway.previous" not in home.document("copy")["Metadata"]["Slipway"]


# -- what is asked ---------------------------------------------------------------------------------------------


def test_the_endpoint_is_asked_before_anything_is_stored(home: Client, files: dict[str, str]) -> None:
    home.says = [("url", "nobody is there"), ("ca", "wrong"), ("cert", "refused")]
    assert home.fail(docker_host="tcp://lab:2376", timeout=7, **files) == [
        "ca_path: wrong",
        "client_cert: refused",
        "docker_host: nobody is there",
    ]
    paths = {"ca": files["ca_path"], "cert": files["client_cert"], "key": files["client_key"]}
    assert home.asked == [{"url": "tcp://lab:2376", **paths, "skip_tls_verify": False, "timeout": 7.0}]
    home.run(docker_host="tcp://lab:2376", verify=False, **files)
    assert len(home.asked) == 1


def test_what_is_stored_already_is_asked_again_when_it_becomes_current(home: Client, files: dict[str, str]) -> None:
    home.run(docker_host="tcp://lab:2376", **files)
    home.asked.clear()
    home.run(docker_host="tcp://lab:2376", description="x", **files)
    assert home.asked == []
    home.says = [("url", "nobody is there")]
    assert home.fail(current=True, description="x") == ["docker_host: nobody is there"]
    assert home.asked[0]["cert"] == ""  # the files are no longer said, so they go


def test_a_named_pipe_is_stored_unasked(home: Client) -> None:
    home.run(docker_host="npipe:////./pipe/docker_engine", current=True)
    assert home.asked == []


def test_an_endpoint_for_everybody_is_refused_unless_it_is_wanted(home: Client) -> None:
    (line,) = home.fail(docker_host="tcp://10.0.0.5:2375")
    assert "is without TLS" in line and home.asked == []
    home.run(docker_host="tcp://10.0.0.5:2375", allow_insecure=True)


def test_stored_files_count_for_an_endpoint_of_which_only_the_address_is_said(
    home: Client, files: dict[str, str]
) -> None:
    path = home.put("lab", host="tcp://old:2376")
    tls = home.folder / f"contexts/tls/{LAB}/docker"
    tls.mkdir(parents=True)
    for name in ("ca", "cert", "key"):
        (tls / f"{name}.pem").write_text(name)
    home.run(docker_host="tcp://new:2376")
    assert home.asked[0]["cert"] == str(tls / "cert.pem") and path.exists()
    (line,) = home.fail(docker_host=HOST)
    assert "knows no TLS" in line and "ca_path" in line


# -- what fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["create", "write", "use", "remove"])
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("halfway", [True, False])
def test_a_failure_leaves_all_as_it_was(
    home: Client, files: dict[str, str], broken: str, fresh: bool, halfway: bool
) -> None:
    home.halfway = halfway
    if not fresh:
        home.put("colima")
        (home.folder / "config.json").write_text('{ "currentContext": "colima",\n"auths": {}}')
    for options in (
        {"docker_host": "tcp://lab:2376", "current": True, **files},
        {"docker_host": HOST, "description": "x", "current": False},
        {"state": "absent"},
    ):
        home.breaks = lambda action: action.verb == broken and not action.id.endswith("undo")
        before = tree(home.folder)
        home._run(options)
        if home.journal.failed and broken != "remove":
            assert tree(home.folder) == before
        home.breaks = lambda _action: False
        home.run(**options) if home.journal.failed else None
    assert not (home.folder / "contexts" / "meta" / LAB).exists()


@pytest.mark.parametrize("done", [0, 1])
@pytest.mark.parametrize("fresh", [True, False])
def test_a_run_that_was_killed_is_taken_up_by_the_next(
    home: Client, files: dict[str, str], done: int, fresh: bool
) -> None:
    if not fresh:
        home.put("colima")
        (home.folder / "config.json").write_text('{"currentContext": "colima"}')
    before = tree(home.folder)
    for options in (
        {"docker_host": "tcp://lab:2376", "current": True, **files},
        {"docker_host": HOST, "description": "x"},
        {"docker_host": HOST, "current": True},
        {"state": "absent"},
    ):
        home.kill(done, **options)
        home._run(options)
        assert home._run(options) == []
        current = home.config.get("currentContext") if (home.folder / "config.json").exists() else None
        assert current == ("lab" if options.get("current") else None if fresh else "colima")
    assert {path: item for path, item in tree(home.folder).items() if "config.json" not in path} == {
        path: item for path, item in before.items() if "config.json" not in path
    }
    assert tree(home.folder) == {} if fresh else home.config == {"currentContext": "colima"}


def test_what_an_interrupted_run_has_left_goes(home: Client, files: dict[str, str]) -> None:
    tls = home.folder / f"contexts/tls/{LAB}/docker"
    tls.mkdir(parents=True)
    (tls / "stale.pem").write_text("x")
    home.run(docker_host="tcp://lab:2376", **files)
    assert sorted(path.name for path in tls.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    (home.folder / "contexts" / "meta" / LAB / "meta.json").unlink()
    home.run(state="absent")
    assert tree(home.folder) == {}


def test_a_broken_context_can_be_removed(home: Client) -> None:
    home.put("lab").write_text("{")
    (line,) = home.fail(docker_host=HOST)
    assert "state: absent removes it" in line
    home.run(state="absent")
    assert tree(home.folder) == {}


def test_a_place_that_cannot_be_written_to_is_foretold(home: Client) -> None:
    home.folder.write_text("a file")
    (line,) = home.fail(docker_host=HOST)
    assert line.startswith("config_dir: ") and "is not a directory" in line


def test_no_key_is_in_any_payload_or_step(home: Client, files: dict[str, str]) -> None:
    seen: list[str] = []

    def look(action: Action) -> bool:
        seen.append(repr(action))
        return False

    home.breaks = look
    home.run(docker_host="tcp://lab:2376", current=True, **files)
    assert seen and not any("BEGIN" in text for text in seen)
