#!/bin/sh
# daemon.sh stop | restart - the daemon where no systemd runs it: by its init script where that had started it, else by itself, with the words it had.
set -eu
file=$(sed -n 's/.*"pidfile" *: *"\([^"]*\)".*/\1/p' /etc/docker/daemon.json 2>/dev/null || true)
file=${file:-/var/run/docker.pid}
# One that does not come up has left no words; those of the one before are here.
words=/run/slipway-engine.words

running() { pid=$(cat "$file" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; }

if running; then
  cat "/proc/$pid/cmdline" >"$words"
  if service docker status >/dev/null 2>&1 && service docker stop >/dev/null 2>&1; then
    : >"$words"
  elif running; then
    kill "$pid"
    # A process that has ended may stay in /proc until it is reaped, but has no program any more.
    tries=150
    while [ -e "/proc/$pid/exe" ]; do
      if [ $((tries -= 1)) -le 0 ]; then echo "the daemon, process $pid, does not end" >&2; exit 1; fi
      sleep 0.2
    done
  fi
fi
if [ "$1" = stop ]; then exit; fi

if [ ! -s "$words" ] && service docker start >/dev/null 2>&1; then exit; fi
DOCKER_OPTS=
if [ -r /etc/default/docker ]; then . /etc/default/docker; fi
# shellcheck disable=SC2086
if [ ! -s "$words" ]; then printf '%s\0' dockerd ${DOCKER_OPTS-} >"$words"; fi
# The first word is the program's name, which may have moved.
xargs -0 sh -c 'shift; exec setsid dockerd "$@"' daemon.sh <"$words" >>/var/log/docker.log 2>&1 &
