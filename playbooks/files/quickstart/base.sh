#!/bin/sh
# base.sh TARBALL - a root file system with nginx, Python and Redis, from the Debian or Ubuntu packages that this host would
# install itself: same release, same mirrors, same keys and proxies. Packages are unpacked, never installed, so nothing of
# them runs here. About 80 MB, 15 seconds.
set -eu
tarball=$1
work=$(mktemp -d "$tarball.XXXXXX")
trap 'rm -rf "$work"' EXIT
. /etc/os-release

set --
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  if grep -qs '^[^#]' "$file"; then set -- "$@" "$file"; fi
done
apt-config dump | grep '^Acquire::' | grep -v ' "";$' >"$work/apt.conf"

# What packages bring along for an installed system and three daemons in containers never open.
for path in doc info locale man perl perl5 bash-completion; do
  set -- --dpkgopt="path-exclude=/usr/share/$path/*" "$@"
done
set -- --dpkgopt='path-exclude=/usr/lib/*/perl*' --dpkgopt='path-exclude=/usr/lib/*/libperl*' "$@"

cat >"$work/finish" <<'FINISH'
#!/bin/sh
set -eu
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$1/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
for name in sh wget; do [ -e "$1/bin/$name" ] || ln -s busybox "$1/bin/$name"; done
find "$1/usr/bin" -name 'perl*' -delete
FINISH
chmod +x "$work/finish"

mmdebstrap --quiet --variant=extract --include=base-files,busybox-static,nginx,python3,redis-server \
  --aptopt="$work/apt.conf" --extract-hook="$work/finish" "$VERSION_CODENAME" "$work/base.tar" "$@"
mv "$work/base.tar" "$tarball" # renamed when whole: a killed run leaves no half a base behind
