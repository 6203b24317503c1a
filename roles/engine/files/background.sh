#!/bin/sh
# background.sh start SECONDS LOG | stop PIDFILE | reload PIDFILE - the daemon where no service manager can run it.
# `start` returns when the daemon answers, or fails as soon as it has ended. `stop` returns when it has.
set -eu
running() { pid=$(cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; }

case $1 in
  start)
    DOCKER_OPTS=
    if [ -r /etc/default/docker ]; then . /etc/default/docker; fi
    # shellcheck disable=SC2086
    setsid dockerd ${DOCKER_OPTS-} >>"$3" 2>&1 </dev/null &
    daemon=$!
    tries=$(($2 * 5))
    until timeout 5 docker version >/dev/null 2>&1; do
      if ! kill -0 $daemon 2>/dev/null; then exit 1; fi
      if [ $((tries -= 1)) -le 0 ]; then exit 1; fi
      sleep 0.2
    done
    ;;
  stop)
    if ! running "$2"; then exit 0; fi
    kill "$pid"
    # A process that has ended may stay in /proc until it is reaped, but has no program any more.
    tries=150
    while [ -e "/proc/$pid/exe" ]; do
      if [ $((tries -= 1)) -le 0 ]; then echo "the daemon, process $pid, does not end" >&2; exit 1; fi
      sleep 0.2
    done
    ;;
  reload)
    running "$2" && kill -s HUP "$pid"
    ;;
esac
