#!/usr/bin/env bash
# One process that is controller and broker, as a former version or an embedded start left it, is given a controller
# listener: a broker in a process of its own joins, gets replicas, and serves what was there before.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

readonly base=$((20000 + (RANDOM % 400) * 100))
readonly one="127.0.0.1:$base" two="127.0.0.1:$((base + 1))" quorum="127.0.0.1:$((base + 2))"
pids=()

start() { # NAME OPTIONS...
  local name="$1"
  shift
  "$millrace" server --data-dir "$work/$name" --set http.listener= "$@" 2>>"$work/$name.err" &
  pids+=($!)
}
stop() { # the last one that was started
  kill "${pids[-1]}"
  wait "${pids[-1]}" || fail 'it does not stop cleanly'
}

bootstrap="$one"
ask_options=(--timeout 5)
start one --listen "$one" --set node.id=1
await 60 'the process alone does not serve' ask topic create before
printf 'kept\n' | ask produce before >/dev/null
stop

readonly joint=(--set "controller.quorum.voters=1@$quorum" --set controller.listener.names=CONTROLLER)
start_one() {
  start one --set "listeners=PLAINTEXT://$one,CONTROLLER://$quorum" --set node.id=1 \
    --set process.roles=controller,broker "${joint[@]}"
}
start_one
start two --listen "$two" --set node.id=2 --set process.roles=broker "${joint[@]}"
bootstrap="$two"
ask_options=(--timeout 20)
await 60 'broker 2 does not join' ask topic create both --replication-factor 2 --partitions 2
[[ "$(ask consume before --from-beginning)" == kept ]] || fail 'what was there before is gone'
seq 10 | ask produce both >/dev/null
ask quorum describe | grep -q "$quorum" || fail 'the address of the controller is not in its log'

# It is the same cluster after a crash, too.
kill -9 "${pids[-2]}"
wait "${pids[-2]}" 2>/dev/null || true
start_one
await 60 'the controller does not come back' ask topic create after --replication-factor 2
[[ "$(ask consume both --from-beginning | sort -n | tr '\n' ' ')" == "$(seq -s ' ' 10) " ]] || fail 'records are gone'
