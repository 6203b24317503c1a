# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""python3 -m slipway_desktop run|start|stop|status CONFIG.json: an engine in a machine, as if it were here. See --help."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

if not __package__:  # run as `python3 DIRECTORY`
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from slipway_desktop import machine, place
from slipway_desktop.config import Config, ConfigWrong, read
from slipway_desktop.forward import Forwarder

# Exit codes: of what may pass, after which it is started again; of what somebody has to mend; when another runs for the same directory.
FAILED, WRONG, ELSEWHERE = 1, 2, 3
AWAIT = 5.0  # seconds


def main() -> None:
    """Do what the command line says."""
    options = arguments(sys.argv[1:])
    try:
        config = read(options.config)
        raise SystemExit({"run": run, "start": start, "stop": stop, "status": status}[options.command](config, options))
    except (ConfigWrong, place.PlaceFailed, OSError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(FAILED if isinstance(error, OSError) else WRONG) from None


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="slipway_desktop",
        description="Have the engine of a machine, and the ports that its containers publish, on this workstation.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("run", "do it in the foreground until SIGTERM"),
        ("start", "do it in the background, where there is no systemd --user to do so"),
        ("stop", "end what runs (under systemd: systemctl --user stop), and remove what a killed one has left"),
        ("status", "say what is forwarded and what is wrong; the exit code is 1 when something is"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("config", type=Path, metavar="CONFIG.json")
        if name == "run":
            command.add_argument("--times", action="store_true", help="begin lines with the time")
        if name == "status":
            command.add_argument("--json", action="store_true")
    return parser.parse_args(words)


def run(config: Config, options: argparse.Namespace) -> int:
    """Do it here until SIGTERM."""

    def say(text: str) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S ") if options.times else ""
        with suppress(OSError):  # the log may be on a disk that is full
            print(f"{now}{' '.join(text.split())}", file=sys.stderr, flush=True)

    place.have(config)
    lock = place.Lock(config)
    if not lock.take(2.0):
        say(f"{config.name} is forwarded already, by process {lock.owner()}")
        return ELSEWHERE
    place.tidy(config)
    try:
        asyncio.run(_until_asked(config, say))
    finally:
        place.tidy(config)
        lock.leave()
    return 0


async def _until_asked(config: Config, say: place.Say) -> None:
    running = asyncio.ensure_future(Forwarder(config, say).run())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        say("asked to end")
        await machine.leave(config.uri, config.domain, say)


def start(config: Config, options: argparse.Namespace) -> int:
    """Do it in the background; return when it has begun."""
    place.have(config)
    lock = place.Lock(config)
    if lock.owner() != 0:
        print(f"{config.name} is forwarded already")
        return 0
    log = place.open_log(config)
    program = Path(__file__).resolve().parent
    words = [sys.executable, str(program)] if program.is_dir() else [sys.executable, str(program.parent)]
    process = subprocess.Popen(
        [*words, "run", "--times", str(options.config.resolve())],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        start_new_session=True,
    )
    deadline = time.monotonic() + AWAIT
    while not (config.directory / "status.json").exists() or lock.owner() == 0:
        if process.poll() is not None or time.monotonic() > deadline:
            print(f"{config.name} was not started; see {config.directory / 'log'}", file=sys.stderr)
            return 1
        time.sleep(0.02)
    return 0


def stop(config: Config, options: argparse.Namespace) -> int:
    """End what runs, and say whether anything did."""
    ended = config.directory.is_dir() and place.end(config, AWAIT)
    print(f"{config.name} {'was ended' if ended else 'is not forwarded'}")
    return 0


def status(config: Config, options: argparse.Namespace) -> int:
    """Say how it is."""
    said = place.status(config)
    print(json.dumps(said, indent=1) if options.json else "\n".join(place.table(said)))
    return 0 if said["connected"] and not said["problems"] else 1


if __name__ == "__main__":
    main()
