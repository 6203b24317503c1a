#!/bin/sh
# move_data.sh VERB FROM TO [NOTE] - what the engine stores goes to another place.
#   check   whether it can, and how much it is; the mistake on standard error and status 1 when not
#   note    what there is and what runs, in NOTE; one that an interrupted move left is believed
#   copy    with owners, modes, times, links, attributes and holes; what an interrupted copy has done is not done again where rsync is there
#   same    whether the engine shows what NOTE says, and has what ran run again
#   start   has what ran run again, and no more
#   remove  the old place
set -eu
verb=$1 from=$2 to=$3 note=${4-}
mark=$to/.slipway-moving

holdings() { { docker ps --all --quiet --no-trunc | sed 's/^/container /'; docker images --all --quiet --no-trunc | sed 's/^/image /'; docker volume ls --quiet | sed 's/^/volume /'; } | sort -u; }

near() { dir=$1; while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done; echo "$dir"; }

run_again() { sed -n 's/^running //p' "$note" | xargs -r docker start >/dev/null; }

case $verb in
  check)
    case "$to/" in "$from"/*) echo "$to lies in $from" >&2; exit 1 ;; esac
    case "$from/" in "$to"/*) echo "$from lies in $to" >&2; exit 1 ;; esac
    if [ -d "$to" ] && [ ! -e "$mark" ] && [ -n "$(ls -A "$to")" ]; then
      echo "$to is not empty; name a place that is, or remove what is there" >&2
      exit 1
    fi
    need=$(du -sk "$from" | cut -f 1)
    had=$(if [ -e "$mark" ]; then du -sk "$to" | cut -f 1; else echo 0; fi)
    free=$(df -Pk "$(near "$to")" | awk 'NR == 2 {print $4}')
    # What apt and logs need meanwhile is not for us to take.
    if [ $((need + need / 20)) -gt $((free + had)) ]; then
      echo "$from holds $((need / 1024)) MiB, and $to has room for $(((free + had) / 1024)) MiB" >&2
      exit 1
    fi
    echo "$((need / 1024)) MiB"
    ;;
  note)
    if [ -s "$note" ]; then exit; fi
    { echo "from $from"; echo "to $to"; holdings; docker ps --quiet --no-trunc | sed 's/^/running /'; } >"$note.draft"
    sync
    mv "$note.draft" "$note"
    ;;
  copy)
    mkdir -p "$to"
    chmod --reference "$from" "$to"
    chown --reference "$from" "$to"
    : >"$mark"
    if command -v rsync >/dev/null; then
      rsync -aHAXS --numeric-ids --delete --exclude=/.slipway-moving "$from/" "$to/"
    else
      find "$to" -mindepth 1 -maxdepth 1 ! -name .slipway-moving -exec rm -rf {} +
      cp -a --sparse=auto "$from/." "$to/"
    fi
    sync
    rm "$mark"
    ;;
  same)
    holdings >"$note.now"
    if ! sed -n '/^\(container\|image\|volume\) /p' "$note" | cmp -s - "$note.now"; then
      sed -n '/^\(container\|image\|volume\) /p' "$note" | diff - "$note.now" | sed -n 's/^</missing:/p; s/^>/strange:/p' >&2
      exit 1
    fi
    rm "$note.now"
    run_again
    ;;
  start) run_again ;;
  remove)
    # It may be a mount itself.
    find "$from" -mindepth 1 -delete
    rmdir "$from" 2>/dev/null || true
    ;;
esac
