#!/bin/sh
# change_apt.sh VERB ... - to another version of the engine and back: what is there is kept, and installed again.
#   index                           apt's index is renewed; what a busy mirror did not give at once it may give a moment later
#   keep DIR OLD... -- NEW...       pack away what is installed: OLD would be replaced, NEW would come with it; standard input goes along
#   back DIR                        what was kept is installed again
#   settle DIR                      what was held is held, what was automatic is automatic, and what was kept goes
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d /var/tmp/.engine-upgrade.XXXXXX)
trap 'rm -rf "$work"' EXIT
find /var/tmp -maxdepth 1 -name '.engine-upgrade.*' -mmin +120 -exec rm -rf {} +

apt() {
  apt-get -qq --yes --no-install-recommends --allow-change-held-packages -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

installed() { dpkg-query --show --showformat='${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p'; }

archives() { eval "$(apt-config shell place Dir::Cache::archives/d)" && echo "$place"; }

archive() { # archive DIR PACKAGE VERSION: the file that holds it
  find "$1" -maxdepth 1 -name "${2}_$(echo "$3" | sed 's/:/%3a/')_*.deb" | head -n 1
}

repack() { # repack PACKAGE DIR: as it is installed; a mirror keeps the newest only
  tree=$work/$1
  mkdir -p "$tree/DEBIAN"
  dpkg-query --listfiles "$1" | sed -n 's|^/\([^.].*\)|\1|p' | while read -r path; do
    case $path in
      # A package's /lib is a folder, also where it leads to /usr/lib.
      */*) if [ -e "/$path" ] || [ -L "/$path" ]; then echo "$path"; fi ;;
      *) mkdir -p "$tree/$path" ;;
    esac
  done >"$work/list"
  tar -C / --no-recursion -cf - -T "$work/list" | tar -C "$tree" -xpf -
  dpkg-query --status "$1" | awk '/^[^ ]/ {skip = /^(Status|Conffiles|Config-Version):/} !skip' >"$tree/DEBIAN/control"
  for part in preinst postinst prerm postrm triggers conffiles; do
    file=$(dpkg-query --control-path "$1" "$part" 2>/dev/null) && [ -n "$file" ] || continue
    cp "$file" "$tree/DEBIAN/$part"
  done
  if [ -f "$tree/DEBIAN/conffiles" ]; then
    while read -r path; do if [ -f "$tree$path" ]; then echo "$path"; fi; done <"$tree/DEBIAN/conffiles" >"$work/conffiles"
    mv "$work/conffiles" "$tree/DEBIAN/conffiles"
  fi
  dpkg-deb -Zgzip -z1 --build "$tree" "$2" >/dev/null
  rm -rf "$tree"
}

verb=$1
shift
case $verb in
  index)
    for pause in 2 8 0; do
      apt-get update >/dev/null 2>"$work/said" || true
      grep -q 'Failed to fetch' "$work/said" || break
      sleep $pause
    done
    cat "$work/said" >&2
    ;;
  keep)
    dir=$1 draft=$1.draft
    shift
    rm -rf "$draft" "$dir"
    mkdir -p "$(dirname "$dir")"
    mkdir -m 0700 "$draft"
    cat >"$draft/containers"
    apt-mark showhold >"$draft/held"
    apt-mark showauto >"$draft/auto"
    while [ "$1" != -- ]; do
      version=$(installed "$1")
      file=$(archive "$(archives)" "$1" "$version")
      if [ -n "$file" ]; then
        cp "$file" "$draft/"
      else
        (cd "$draft" && apt -o APT::Sandbox::User=root download "$1=$version" >/dev/null 2>&1) || repack "$1" "$draft"
      fi
      shift
    done
    shift
    for package in "$@"; do echo "$package"; done >"$draft/new"
    if [ -e /etc/docker/daemon.json ]; then cp -p /etc/docker/daemon.json "$draft/"; fi
    sync
    mv "$draft" "$dir"
    ;;
  back)
    dpkg --configure -a || true
    # What has come with the new one goes, or it would break the old.
    # shellcheck disable=SC2046
    if ls "$1"/*.deb >/dev/null 2>&1; then apt --allow-downgrades install "$1"/*.deb $(sed 's/$/-/' "$1/new"); fi
    if [ -e "$1/daemon.json" ]; then cp -p "$1/daemon.json" /etc/docker/daemon.json; else rm -f /etc/docker/daemon.json; fi
    ;;
  settle)
    # Whatever is named to apt counts as asked for by hand, also where it is left as it was.
    apt-mark showmanual | grep -Fxf "$1/auto" | xargs -r apt-mark auto >/dev/null
    while read -r package; do if [ -n "$(installed "$package")" ]; then apt-mark hold "$package" >/dev/null; fi; done <"$1/held"
    rm -rf "$1"
    rmdir "$(dirname "$1")" 2>/dev/null || true
    ;;
esac
