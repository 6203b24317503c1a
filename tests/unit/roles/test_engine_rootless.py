# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What rootless.py makes of what it finds. That it does it is tests/integration/engine_role/test_rootless.py."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from conftest import INSTALLED

SPEC = importlib.util.spec_from_file_location(
    "engine_rootless", INSTALLED / "roles" / "engine" / "files" / "rootless.py"
)
rootless = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(rootless)

RUNS = {"widths": [65536, 65536], "lingers": True, "enabled": True, "version": "26.1.5"}
BARE = {"widths": [0, 65536], "lingers": False, "enabled": False, "version": ""}


def test_who_has_an_engine_needs_nothing() -> None:
    assert rootless.plan({"ada": RUNS}, [], "26.1.5", restart=True) == []


def test_who_has_nothing_gets_all_of_it_in_order_after_those_who_leave() -> None:
    steps = rootless.plan({"grace": BARE, "ada": RUNS}, ["alan"], "26.1.5", restart=True)
    assert [step[:2] for step in steps] == [
        ("leave", "alan"),
        ("ranges", "grace"),
        ("linger", "grace"),
        ("start", "grace"),
    ]
    assert steps[1][2] == "subordinate ids: 0 -> 65536"


@pytest.mark.parametrize(("may", "verbs"), [(True, ["restart"]), (False, [])])
def test_another_version_is_started_again_only_where_it_may(may: bool, verbs: list[str]) -> None:
    steps = rootless.plan({"ada": {**RUNS, "version": "20.10.24"}}, [], "26.1.5", restart=may)
    assert [step[0] for step in steps] == verbs


def test_an_engine_that_has_stopped_is_started() -> None:
    assert rootless.plan({"ada": {**RUNS, "version": ""}}, [], "26.1.5", restart=False) == [
        ("start", "ada", "stopped -> started")
    ]


def test_subordinate_ids_are_those_of_the_name_and_of_the_number() -> None:
    text = "ada:100000:65536\n1000:200000:1000\n# nobody\nadam:300000:65536\nada:x:y\n"
    assert rootless.width(text, "ada", 1000) == 66536
    assert rootless.width("", "ada", 1000) == 0


def test_free_ids_are_above_all_others() -> None:
    assert rootless.free("", "") == 100000
    assert rootless.free("ada:100000:65536\n", "ada:100000:65536\ngrace:165536:65536\n") == 231072


def test_a_note_is_written_whole_and_goes_with_the_last(tmp_path: Path) -> None:
    note = tmp_path / "rootless.managed"
    rootless._write(note, {"ada": {"linger": True}})
    assert json.loads(note.read_text()) == {"ada": {"linger": True}}
    rootless._write(note, {})
    assert list(tmp_path.iterdir()) == []


def test_who_cannot_have_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootless, "SWITCHES", {str(tmp_path / "switch"): "0"})
    found = rootless.mistakes(["nobody-here", "root"])
    assert any('"nobody-here" is no user of this host' in one for one in found)
    assert any('"root" is root' in one for one in found)
    assert rootless.mistakes([]) == []
