#!/bin/sh
# exposed.sh FILE CERTIFICATE KEY DIRECTORY - reads lines "KIND BITS GROUP PATH", and prints "KIND GROUP PATH" of each path that is there and has one of
# these bits, or belongs to somebody else than root and this group. Beside those that are named it looks at the units that systemd starts the engine by,
# and at what lies in the directory of registries' certificates; the arguments before that are the bits of these three kinds.
set -u
look() {  # look KIND BITS GROUP PATH
  found=$(find -L "$4" -maxdepth 0 \( -perm "/$2" -o ! -user root -o ! -group "$3" \) 2>/dev/null)
  [ -z "$found" ] || printf '%s %s %s\n' "$1" "$3" "$4"
}
while read -r kind bits group path; do look "$kind" "$bits" "$group" "$path"; done
for unit in docker.service docker.socket; do
  path=$(systemctl show --property FragmentPath --value "$unit" 2>/dev/null)
  [ -z "$path" ] || look file "$1" root "$path"
done
find "$4" -type f 2>/dev/null | while read -r path; do
  case $path in
  *.key) look key "$3" root "$path" ;;
  *) look certificate "$2" root "$path" ;;
  esac
done
exit 0
