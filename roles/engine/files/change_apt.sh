#!/bin/sh
# change_apt.sh VERB ... - what another version of the engine asks of apt, and the way back. PACKAGE... are the engine's own, the daemon's first.
#   offer aside|fresh|here VERSION CONFIG PACKAGE...  what would change, and whether the new daemon reads CONFIG; all that is needed is fetched
#   keep DIR OLD... -- NEW...       pack away what is installed: OLD would be replaced, NEW would come with it; standard input goes along
#   install VERSION PACKAGE...      what `offer` said
#   back DIR                        what was kept is installed again
#   settle DIR                      what was held is held, what was automatic is automatic
#   forget DIR                      what was kept goes
# `aside` leaves no trace on the host: it has an index and archives of its own. `here` fetches no index.
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

offered() { apt-cache madison "$1" | awk -F ' *[|] *' '$3 !~ /Sources$/ {print $2}'; }

pick() { # pick PACKAGE VERSION: exact, or what one begins with (26.1 is 26.1.5 and not 26.10); what apt would take, else the newest that fits
  best=
  for each in $(apt-cache policy "$1" | sed -n 's/^ *Candidate: //p' | grep -vFx '(none)') $(offered "$1"); do
    case "$each/${each#*:}." in
      "${2%latest}/"* | *"/${2%latest}"[!0-9]*) best=$each && break ;;
      */*) if [ -z "${2%latest}" ]; then best=$each && break; fi ;;
    esac
  done
  echo "$best"
}

targets() { # targets VERSION PACKAGE...: each at this version where there is one, else, if it is installed, at its candidate
  to=$1
  shift
  for package in "$@"; do
    if offered "$package" | grep -qFx "$to"; then
      echo "$package=$to"
    elif [ -n "$(installed "$package")" ]; then
      echo "$package"
    fi
  done
}

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
  offer)
    where=$1 version=$2 config=$3
    shift 3
    case $where in
      aside)
        mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
        printf '%s\n' "Dir::State::lists \"$work/lists\";" "Dir::Cache \"$work/cache\";" 'APT::Sandbox::User "root";' >"$work/apt.conf"
        export APT_CONFIG="$work/apt.conf"
        apt update
        ;;
      fresh) apt update ;;
    esac
    from=$(installed "$1")
    to=$(pick "$1" "$version")
    echo "from $from"
    if [ -z "$to" ]; then
      offered "$1" | sed 's/^/none /'
      exit
    fi
    # A host may have a newer one than apt would take.
    if [ -z "${version%latest}" ] && dpkg --compare-versions "$to" lt "$from"; then to=$from; fi
    echo "to $to"
    if dpkg --compare-versions "$to" lt "$from"; then exit; fi
    # shellcheck disable=SC2046
    set -- "$1" $(targets "$to" "$@")
    own=$1
    shift
    apt --simulate install "$@" >"$work/said"
    sed -n 's/^Inst \([^ ]*\) \[\([^]]*\)\] (\([^ ]*\).*/change \1 \2 \3/p; s/^Inst \([^ ]*\) (\([^ ]*\).*/change \1 - \2/p
      s/^Remv \([^ ]*\) \[\([^]]*\)\].*/change \1 \2 -/p' "$work/said"
    apt install --download-only "$@" >/dev/null
    file=$(archive "$(archives)" "$own" "$to")
    # What lies in a folder of this host is not fetched.
    if [ -z "$file" ] && [ "$to" != "$from" ]; then
      (cd "$work" && apt -o APT::Sandbox::User=root download "$own=$to" >/dev/null)
      file=$(archive "$work" "$own" "$to")
    fi
    if [ "$to" != "$from" ] && [ -n "$file" ] && [ -e "$config" ]; then
      dpkg-deb -x "$file" "$work/new"
      dockerd=$(find "$work/new" -type f -name dockerd | head -n 1)
      # It may need a library that comes with it; then only the real start can tell.
      if [ -n "$dockerd" ] && "$dockerd" --version >/dev/null 2>&1; then
        if said=$("$dockerd" --validate --config-file "$config" 2>&1); then
          echo "reads yes"
        elif ! echo "$said" | grep -q 'unknown flag'; then
          echo "reads no $(echo "$said" | tail -n 1 | sed "s|^unable to configure the Docker daemon with file $config: ||")"
        fi
      fi
    fi
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
  install)
    version=$1
    shift
    # shellcheck disable=SC2046
    apt install $(targets "$version" "$@")
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
    ;;
  forget)
    rm -rf "$1"
    rmdir "$(dirname "$1")" 2>/dev/null || true
    ;;
esac
