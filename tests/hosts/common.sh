# shellcheck shell=sh
# What image, up and down have in common: where things are, and what they are called.
# A lab is one engine in a network namespace of its own; the hosts are systemd containers in it.

lab=${SLIPWAY_LAB:-native}
case $lab in *[!a-z0-9]* | "" | ?????????*) echo "SLIPWAY_LAB: \"$lab\" is not 1 to 8 letters or digits" >&2; exit 2 ;; esac

name=slipway-mol-$lab                 # the namespace, the cgroup, the marks of all that is ours
state=${SLIPWAY_LAB_ROOT:-/var/tmp}/$name
socket=$state/docker.sock
cache=${SLIPWAY_CACHE:-$HOME/.cache/slipway}/hosts
here=$(cd "$(dirname "$0")" && pwd)
mirror=${SLIPWAY_DEBIAN_MIRROR:-http://deb.debian.org/debian}

# An interface name holds 15 characters, and each lab needs a link of its own: four addresses of 10.94.0.0/16.
outside=swm-$lab
index=$(printf '%s' "$lab" | cksum | cut -d ' ' -f 1)
net=10.94.$((index % 256)).$((index / 256 % 64 * 4))
outer=${net%.*}.$((${net##*.} + 1))
inner=${net%.*}.$((${net##*.} + 2))

# All labs, and the hypervisors of tests/harness, share the machine's forwarding. Who changes it has it locked: { flock 9; ...; } 9<$forwarding
forwarding=/proc/sys/net/ipv4/ip_forward
forwarded=/run/slipway-mol.ip_forward   # what it was before any of us came

say() { echo "$name: $*" >&2; }
die() { say "$*"; exit 1; }
engine() { docker -H "unix://$socket" "$@"; }
in_lab() { nsenter --net="/run/netns/$name" "$@"; }

need() {  # need COMMAND PACKAGE ...: says at once all that is missing
  missing=
  while [ $# -gt 0 ]; do
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
    shift 2
  done
  [ -z "$missing" ] || die "install first:$missing"
}
