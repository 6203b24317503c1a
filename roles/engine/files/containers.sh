#!/bin/sh
# containers.sh list | gate SECONDS same|started [FILE] - the containers that run, and whether they still do.
#   list   one line each: ID PID RESTARTS HEALTH NAME; what a swarm runs is left out, for the swarm puts other containers in their place
#   gate   wait until the daemon that is installed answers, and what FILE (or standard input) lists runs: as the same processes, or started again.
#          Silent when it does; else what does not, on standard error, and status 1.
set -eu
shape='{{if not (index .Config.Labels "com.docker.swarm.task.id")}}{{.ID}} {{.State.Pid}} {{.RestartCount}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.Name}}{{end}}'

# One that is gone meanwhile is no mistake; anything else is, for a list that is too short would pass every gate.
list() {
  ids=$(docker ps --quiet --no-trunc --filter status=running)
  # shellcheck disable=SC2086
  if [ -n "$ids" ]; then docker inspect --type container --format "$shape" $ids 2>"$work/said" | sed '/^$/d'; else : >"$work/said"; fi
  if grep -iv 'no such' "$work/said" >&2; then return 1; fi
}

# A job that has come to its end is not missed, nor one that Docker restarts all the time as before.
ended() { [ "$(docker inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.HostConfig.RestartPolicy.Name}}' "$1" 2>&1)" = "exited 0 no" ]; }

judge() { # what is wrong, one line each
  list >"$work/now" || return 1
  while read -r id pid restarts health name; do
    read -r now_pid now_restarts now_health <<LINE
$(awk -v id="$id" '$1 == id {print $2, $3, $4}' "$work/now")
LINE
    if [ -z "$now_pid" ]; then
      ended "$id" || echo "${name#/} does not run"
    elif [ "$1" = same ] && [ "$now_pid" != "$pid" ] && ! { [ "$restarts" -gt 0 ] && [ "$now_restarts" -gt "$restarts" ]; }; then
      echo "${name#/} is process $now_pid, and was $pid"
    elif [ "$health" = healthy ] && [ "$now_health" != healthy ]; then
      echo "${name#/} is $now_health, and was healthy"
    fi
  done <"$work/before"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $1 in
  list) list ;;
  gate)
    cat "${4:--}" >"$work/before"
    wanted=$(dockerd --version | sed 's/^Docker version \([^,]*\),.*/\1/')
    end=$(($(date +%s) + $2))
    started=
    while :; do
      version=$(timeout 5 docker version --format '{{.Server.Version}}' 2>/dev/null) || version=
      if [ "$version" = "$wanted" ]; then
        if [ "$3" = started ] && [ -z "$started" ]; then
          awk '{print $1}' "$work/before" | xargs -r docker start >/dev/null 2>&1 || true
          started=yes
        fi
        wrong=$(judge "$3") || wrong="it does not say what runs"
        if [ -z "$wrong" ]; then exit 0; fi
      else
        wrong="${version:+it is still $version, and $wanted is installed}"
        wrong=${wrong:-"it does not answer"}
      fi
      if [ "$(date +%s)" -ge "$end" ]; then echo "$wrong" >&2; exit 1; fi
      sleep 0.3
    done
    ;;
esac
