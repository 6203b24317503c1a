#!/usr/bin/python3
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Engines without root: what the users of a host have, and what they are to have. It reads a request (JSON) and prints an answer (JSON).

rootless.py look      what would be done, line by line, and what stands in the way; it changes nothing
rootless.py settle    do it, and see that each of these engines answers

Facts: docs.docker.com/engine/security/rootless (prerequisites), subuid(5), loginctl(1), systemd.unit(5) "user unit search path".
"""

from __future__ import annotations

import json
import pwd
import re
import subprocess
import sys
import time
from pathlib import Path

UNIT = "docker.service"
WIDTH, FIRST = 65536, 100000  # of a range of subordinate ids, and where useradd(8) begins
RANGES = (Path("/etc/subuid"), Path("/etc/subgid"))
LINGER = Path("/var/lib/systemd/linger")
SWITCHES = {"/proc/sys/user/max_user_namespaces": "0", "/proc/sys/kernel/unprivileged_userns_clone": "0"}


class Failed(Exception):
    """Why an engine is not as it should be."""


# --- What follows from what is there --------------------------------------------------------------------------------------


def width(text: str, name: str, uid: int) -> int:
    """How many subordinate ids somebody has, by subuid(5)."""
    entries = [line.split(":") for line in text.splitlines() if line.count(":") == 2]
    return sum(int(count) for owner, _, count in entries if owner in (name, str(uid)) and count.isdigit())


def free(*texts: str) -> int:
    """The first id above all that are given to somebody."""
    return max(
        [FIRST, *(int(start) + int(count) for text in texts for start, count in re.findall(r"(?m):(\d+):(\d+)$", text))]
    )


def plan(states: dict, former: list[str], installed: str, restart: bool) -> list[tuple[str, str, str]]:
    """What is to be done, in order: (verb, user, why). `states` is of those who are to have an engine."""
    steps = [("leave", name, "not named any more") for name in former]
    for name, its in sorted(states.items()):
        if min(its["widths"]) < WIDTH:
            steps.append(("ranges", name, f"subordinate ids: {min(its['widths'])} -> {WIDTH}"))
        if not its["lingers"]:
            steps.append(("linger", name, "runs without a login: no -> yes"))
        if not its["enabled"] or not its["version"]:
            steps.append(("start", name, "stopped -> started" if its["enabled"] else "missing"))
        elif installed and its["version"] != installed and restart:
            steps.append(("restart", name, f"runs {its['version']}, {installed} is installed"))
    return steps


# --- What is there --------------------------------------------------------------------------------------------------------


def account(name: str) -> pwd.struct_passwd | None:
    """A user of this host by name."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def by(user: pwd.struct_passwd, *command: str, seconds: float = 120) -> subprocess.CompletedProcess:
    """Run a command as somebody, with what their own session would give it."""
    run = f"/run/user/{user.pw_uid}"
    given = [
        f"HOME={user.pw_dir}",
        f"XDG_RUNTIME_DIR={run}",
        f"DBUS_SESSION_BUS_ADDRESS=unix:path={run}/bus",
        "LC_ALL=C",
    ]
    whole = ["runuser", "-u", user.pw_name, "--", "env", "-u", "DOCKER_CONTEXT", "-u", "DOCKER_HOST", *given, *command]
    try:
        return subprocess.run(
            whole, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(whole, 124, "", f"no answer within {seconds:g} seconds")


def socket_of(user: pwd.struct_passwd) -> str:
    """Where their engine answers."""
    return f"/run/user/{user.pw_uid}/docker.sock"


def version_of(user: pwd.struct_passwd) -> str:
    """The version of the engine that answers; empty when none does."""
    asked = ["docker", "--host", f"unix://{socket_of(user)}", "version", "--format", "{{.Server.Version}}"]
    done = by(user, *asked, seconds=10)
    return done.stdout.strip() if done.returncode == 0 else ""


def state(user: pwd.struct_passwd) -> dict:
    """What they have: subordinate ids (users, groups), whether their systemd runs without a login, and of the engine whether it is enabled, and its version."""
    enabled = by(user, "systemctl", "--user", "is-enabled", UNIT)
    return {
        "widths": [width(_text(path), user.pw_name, user.pw_uid) for path in RANGES],
        "lingers": (LINGER / user.pw_name).exists(),
        "enabled": enabled.stdout.strip() == "enabled",
        "version": version_of(user) if Path(socket_of(user)).exists() else "",
    }


def mistakes(names: list[str]) -> list[str]:
    """What stands in the way, each with the way out."""
    found = []
    if names and not Path("/run/systemd/system").is_dir():
        found.append("engine_rootless_users: needs systemd, which runs these engines; leave it out on this host")
    for place, off in SWITCHES.items():
        if names and _text(Path(place)).strip() == off:
            setting = place[len("/proc/sys/") :].replace("/", ".")
            found.append(
                f"engine_rootless_users: this kernel lets only root make user namespaces ({setting} is {off}); set it with ansible.posix.sysctl"
            )
    for name in names:
        user = account(name)
        if user is None:
            found.append(f'engine_rootless_users: "{name}" is no user of this host; make it with ansible.builtin.user')
        elif user.pw_uid == 0:
            found.append(
                f'engine_rootless_users: "{name}" is root, whose engine is the one that this role installs; leave it out'
            )
        elif (Path(user.pw_dir) / ".config/systemd/user" / UNIT).exists():
            found.append(
                f'engine_rootless_users: "{name}" has a unit of their own, {user.pw_dir}/.config/systemd/user/{UNIT};'
                f" have them remove it with dockerd-rootless-setuptool.sh uninstall (what it stored stays)"
            )
    return found


def look(request: dict) -> dict:
    """In: users, note (path), installed (version), restart (bool). Out: mistakes, plan (lines), steps, sockets {user: path}."""
    wrong = mistakes(request["users"])
    users = {name: account(name) for name in request["users"]}
    noted = json.loads(_text(Path(request["note"])) or "{}")
    former = sorted(set(noted) - set(request["users"]))
    states = {name: state(user) for name, user in users.items() if user and not wrong}
    steps = [] if wrong else plan(states, former, request["installed"], request["restart"])
    marks = {"leave": "-", "start": "+"}
    return {
        "mistakes": wrong,
        "steps": steps,
        "plan": [f"{marks.get(verb, '~')} engine/rootless/{name}   {why}" for verb, name, why in steps],
        "sockets": {name: socket_of(user) for name, user in users.items() if user},
    }


# --- What is done ---------------------------------------------------------------------------------------------------------


def settle(request: dict) -> dict:
    """Do what `look` has said. In: as there, and timeout (seconds), delete (bool: what those who leave have stored). Out: done, error."""
    found = look(request)
    note = Path(request["note"])
    noted = json.loads(_text(note) or "{}")
    done = []
    try:
        if found["mistakes"]:
            raise Failed("; ".join(found["mistakes"]))
        for name in request["users"]:
            noted.setdefault(name, {})
        for verb, name, _why in found["steps"]:
            if verb == "linger":
                noted[name]["linger"] = True
            # Before it is done, so that what a killed run has done is known to be ours.
            _write(note, noted)
            VERBS[verb](account(name), noted.get(name, {}), request)
            done.append(f"{verb} {name}")
            if verb == "leave":
                del noted[name]
        _write(note, noted)
        return {"done": done}
    except Failed as why:
        return {"done": done, "error": str(why)}


def give_ranges(user: pwd.struct_passwd, _noted: dict, _request: dict) -> None:
    """Give them subordinate ids that nobody has."""
    start = free(*(_text(path) for path in RANGES))
    span = f"{start}-{start + WIDTH - 1}"
    _do("usermod", "--add-subuids", span, "--add-subgids", span, user.pw_name)


def linger(user: pwd.struct_passwd, _noted: dict, _request: dict) -> None:
    """Have their systemd run from boot on."""
    _do("loginctl", "enable-linger", user.pw_name)


def start(user: pwd.struct_passwd, _noted: dict, request: dict) -> None:
    """Start their engine, now and with each boot; it answers, or this fails with what it said."""
    _wait(
        lambda: Path(f"/run/user/{user.pw_uid}/bus").exists(),
        15,
        f"{user.pw_name}: systemd has made no session of theirs; is dbus-user-session installed?",
    )
    by(user, "systemctl", "--user", "daemon-reload")
    by(user, "systemctl", "--user", "reset-failed", UNIT)
    _run_engine(user, request, "enable", "--now")


def restart(user: pwd.struct_passwd, _noted: dict, request: dict) -> None:
    """Have the program that is installed now take over; their containers end with the old one."""
    by(user, "systemctl", "--user", "daemon-reload")
    _run_engine(user, request, "restart")


def _run_engine(user: pwd.struct_passwd, request: dict, *verb: str) -> None:
    began = time.time()
    asked = by(user, "systemctl", "--user", *verb, UNIT, seconds=request["timeout"] + 5)
    try:
        if asked.returncode:
            raise Failed(f"{user.pw_name}: their engine does not start")
        _wait(
            lambda: version_of(user) != "",
            request["timeout"],
            f"{user.pw_name}: their engine does not answer on {socket_of(user)} within {request['timeout']} seconds",
        )
    except Failed as why:
        journal = [
            "journalctl",
            f"_UID={user.pw_uid}",
            f"_SYSTEMD_USER_UNIT={UNIT}",
            f"--since=@{began:.0f}",
            "--output=cat",
            "--no-pager",
        ]
        words = subprocess.run(journal, capture_output=True, text=True, check=False).stdout.splitlines()
        telling = [line for line in words if re.search(r"level=(error|fatal)|rror:|failed", line)] or words
        raise Failed(f"{why}. Its last word: {telling[-1] if telling else asked.stderr.strip() or 'none'}") from None


def leave(user: pwd.struct_passwd | None, noted: dict, request: dict) -> None:
    """End an engine; what it stored goes only if that is said. Somebody who is gone has none."""
    if user is None:
        return
    by(user, "systemctl", "--user", "disable", "--now", UNIT)
    if request.get("delete"):
        # As its owner, in the namespace in which all of it is theirs: a link that they have laid leads root nowhere.
        gone = by(user, "rootlesskit", "rm", "-rf", f"{user.pw_dir}/.local/share/docker")
        if gone.returncode:
            raise Failed(f"{user.pw_name}: what their engine stored cannot be deleted: {gone.stderr.strip()}")
    if noted.get("linger"):
        _do("loginctl", "disable-linger", user.pw_name)


VERBS = {"ranges": give_ranges, "linger": linger, "start": start, "restart": restart, "leave": leave}


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")


def _wait(true: object, seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        if time.monotonic() >= end:
            raise Failed(otherwise)
        time.sleep(0.3)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _write(path: Path, value: dict) -> None:
    """Write it whole or not at all; a note of nobody is none."""
    if not value:
        path.unlink(missing_ok=True)
        return
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    draft.replace(path)


if __name__ == "__main__":
    json.dump({"look": look, "settle": settle}[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
