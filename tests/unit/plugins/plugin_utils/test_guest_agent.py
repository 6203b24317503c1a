# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands and files through a guest agent whose replies were recorded."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.plugin_utils import guest_agent
from ansible_collections.slipway.docker.plugins.plugin_utils.guest_agent import Agent, AgentRefused


class Script:
    """An agent that answers line by line what qemu-ga 7.2 answered, and keeps what it was asked."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.naps: list[float] = []

    def __call__(self, text: str) -> str:
        command = json.loads(text)
        self.asked.append((command["execute"], command["arguments"]))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return json.dumps(reply if isinstance(reply, dict) and "error" in reply else {"return": reply})

    @property
    def agent(self) -> Agent:
        return Agent(self, self.naps.append)

    @property
    def commands(self) -> list[str]:
        return [command for command, _ in self.asked]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_command_gives_its_exit_code_and_both_outputs() -> None:
    script = Script(
        {"pid": 11278},
        {"exited": False},
        {
            "exitcode": 3,
            "err-data": "bm8K",
            "out-data": "aGVsbG8=",
            "err-truncated": False,
            "out-truncated": False,
            "exited": True,
        },
    )
    assert script.agent.run("/bin/sh", ["-c", "cat; echo no >&2; exit 3"], b"hello") == (3, b"hello", b"no\n")
    assert script.asked[0] == (
        "guest-exec",
        {
            "path": "/bin/sh",
            "arg": ["-c", "cat; echo no >&2; exit 3"],
            "capture-output": True,
            "input-data": encoded(b"hello"),
        },
    )
    assert script.asked[1:] == [("guest-exec-status", {"pid": 11278})] * 2
    assert script.naps == [0.02]


def test_a_long_command_is_looked_at_less_and_less_often() -> None:
    script = Script({"pid": 1}, *[{"exited": False}] * 8, {"exitcode": 0, "exited": True})
    assert script.agent.run("/bin/true", []) == (0, b"", b"")
    assert script.naps == [0.02, 0.05, 0.1, 0.2, 0.5, 0.5, 0.5, 0.5]


def test_a_command_that_a_signal_ended_has_the_exit_code_a_shell_gives_it() -> None:
    assert Script({"pid": 1}, {"signal": 9, "exited": True}).agent.run("/bin/sh", []) == (137, b"", b"")


@pytest.mark.parametrize(("key", "words"), [("out-truncated", "command's output"), ("err-truncated", "error output")])
def test_an_output_that_was_cut_off_is_an_error(key: str, words: str) -> None:
    script = Script({"pid": 1}, {"exitcode": 0, "exited": True, key: True})
    with pytest.raises(AgentRefused, match=rf"{words}.*redirect it to a file"):
        script.agent.run("/bin/sh", [])


def test_an_input_that_is_too_long_is_refused_before_it_is_sent() -> None:
    script = Script()
    with pytest.raises(AgentRefused, match="ansible_pipelining: false"):
        script.agent.run("/bin/sh", [], b"x" * (guest_agent.INPUT_LIMIT + 1))
    assert not script.asked


def test_a_program_that_is_not_there_is_an_error() -> None:
    text = "Guest agent command failed, error was 'Failed to execute child process “/bin/nosh” (No such file or directory)'"
    script = Script({"error": {"class": "GenericError", "desc": text}})
    with pytest.raises(AgentRefused, match=r"guest-exec: .*nosh"):
        script.agent.run("/bin/nosh", [])


def test_a_file_is_written_piece_by_piece_to_its_end() -> None:
    data = bytes(range(256)) * 1500
    script = Script(1000, {"count": 200000, "eof": False}, {"count": 62144, "eof": False}, {"count": 121856}, {})
    script.agent.write("/x", guest_agent.pieces(io.BytesIO(data)))
    assert script.asked[0] == ("guest-file-open", {"path": "/x", "mode": "w"})
    assert script.commands[1:] == ["guest-file-write"] * 3 + ["guest-file-close"]
    sent = [base64.b64decode(given["buf-b64"]) for command, given in script.asked if command == "guest-file-write"]
    assert sent[0] == data[: guest_agent.CHUNK] and sent[1] == sent[0][200000:]
    assert sent[2] == data[guest_agent.CHUNK :]


def test_a_file_that_could_not_be_written_is_closed_and_the_first_error_is_told() -> None:
    script = Script(1000, SlipwayError("no space left"), SlipwayError("no such handle"))
    with pytest.raises(SlipwayError, match="no space left"):
        script.agent.write("/x", [b"data"])
    assert script.commands[-1] == "guest-file-close"


def test_a_write_that_writes_nothing_does_not_go_on_for_ever() -> None:
    with pytest.raises(AgentRefused, match="is the disk full"):
        Script(1000, {"count": 0, "eof": False}, {}).agent.write("/x", [b"data"])


def test_a_close_that_fails_is_told_because_data_may_be_lost() -> None:
    with pytest.raises(SlipwayError, match="lost"):
        Script(1000, {"count": 4}, SlipwayError("lost")).agent.write("/x", [b"data"])


def test_a_file_is_read_piece_by_piece_to_its_end() -> None:
    script = Script(
        1001,
        {"count": 5, "buf-b64": "aGVsbG8=", "eof": False},
        {"count": 5, "buf-b64": "aGVsbG8=", "eof": False},
        {"count": 0, "buf-b64": "", "eof": True},
        {},
    )
    assert b"".join(script.agent.read("/x")) == b"hellohello"
    assert script.asked[1] == ("guest-file-read", {"handle": 1001, "count": guest_agent.CHUNK})
    assert script.commands[-1] == "guest-file-close"
