#!/bin/sh
# rehearse.sh SECONDS DATA-ROOT <daemon.json - start a daemon with that configuration where nobody sees it, and end it again.
# It has its own mounts, network, processes, /etc, /run and a data root beside the real one, so the real daemon and its
# containers notice nothing. Silent when the daemon comes up; else its own line on standard error, and status 1.
set -eu
limit=$1
near=$(dirname "$2")
while [ ! -d "$near" ]; do near=$(dirname "$near"); done
# What a killed rehearsal left behind.
find "$near" -maxdepth 1 -name '.engine-rehearsal.*' -mmin +60 -exec rm -rf {} +
work=$(mktemp -d "$near/.engine-rehearsal.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 0711 "$work"  # user namespaces must be able to pass
cat >"$work/daemon.json"
mkdir "$work/etc"
cp -a /etc/. "$work/etc"

export limit work
unshare --mount --pid --net --fork --mount-proc sh -c '
  mount --bind "$work/etc" /etc
  mount -t tmpfs tmpfs /run
  ip link set lo up 2>/dev/null
  ask() { within=$1; shift; timeout "$within" docker -H unix:///run/rehearsal.sock "$@"; }
  fail() { echo "$*" | sed "s|$work/daemon.json|daemon.json|g" >&2; kill -9 $daemon 2>/dev/null; exit 1; }
  said() { grep -vE "level=\"?(debug|info|warn)" "$work/log" | tail -n 1; }

  dockerd --config-file "$work/daemon.json" --data-root "$work/data" --exec-root /run/rehearsal \
    --pidfile /run/rehearsal.pid >"$work/log" 2>&1 </dev/null &
  daemon=$!
  tries=$((limit * 5))
  until ask 5 version >/dev/null 2>&1; do
    kill -0 $daemon 2>/dev/null || fail "$(said)"
    [ $((tries -= 1)) -gt 0 ] || fail "no answer after $limit seconds"
    sleep 0.2
  done
  # A daemon looks at the log driver and its options only when it makes a container.
  tar -cf - -T /dev/null | ask $limit import - rehearsal >/dev/null || fail "it cannot store an image"
  complaint=$(ask $limit create rehearsal /nothing 2>&1 >/dev/null) ||
    fail "${complaint:-$(sed -n "\$s/.*msg=//p" "$work/log")}"
  kill $daemon
  wait $daemon
'
