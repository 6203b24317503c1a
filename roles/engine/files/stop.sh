#!/bin/sh
# stop.sh PIDFILE - end a daemon that no unit runs, by its init script or by its pid file; returns when it has ended.
set -eu
if service docker status >/dev/null 2>&1; then exec service docker stop; fi
pid=$(cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || exit 0
kill "$pid"
# A process that has ended may stay in /proc until it is reaped, but has no program any more.
tries=150
while [ -e "/proc/$pid/exe" ]; do
  if [ $((tries -= 1)) -le 0 ]; then echo "the daemon, process $pid, does not end" >&2; exit 1; fi
  sleep 0.2
done
