#!/usr/bin/env bash
# Three controllers and three brokers, each in a network namespace of its own, joined by a bridge; under a steady load of
# records (acks=all) and of new topics, nodes are cut off whole and in one direction only. Whatever was acknowledged is
# there at the end, once, at its offset and in order, on each controller and broker, and the replicas are equal, byte for
# byte; and the quorum's leader stays when it is a follower that cannot be heard.
set -euo pipefail

# The first process of a process namespace is what this script is inside; elsewhere its clean-up would kill strangers.
if [[ "${1:-}" != inside || $$ -ne 1 ]]; then
  # Namespaces and links are made as the root of a user namespace: no rights on the machine are needed, nothing is left.
  exec unshare --user --map-root-user --net --mount --pid --fork --kill-child --mount-proc "$0" inside
fi

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"
readonly topic_clients="$PWD/test/cluster/topic_clients"
readonly controllers='1 2 3' brokers='101 102 103'
readonly nobody=02:00:00:00:00:99

before_clean_up() {
  # All there is in this process namespace but this script; they write until they are gone.
  kill -KILL -1 2>/dev/null || true
  local try
  for try in {1..50}; do
    if rm -rf "$work" 2>/dev/null; then return; fi
    sleep 0.1
  done
}

ip_of() { printf '10.77.0.%s' "$1"; }
list_of() { # PORT NODE...
  local port="$1" list='' node
  shift
  for node in "$@"; do list+="${list:+,}$(ip_of "$node"):$port"; done
  printf '%s' "$list"
}

# ---- Machines: a namespace each, with one link to the bridge. ----

ip link set lo up
ip link add switch0 type bridge
ip link set switch0 up
ip addr add 10.77.0.254/24 dev switch0

declare -A machine
run_at() { # NODE COMMAND...
  local pid="${machine[$1]}"
  shift
  nsenter --target "$pid" --net "$@"
}
# A holder of the namespace is there when its network is another than ours.
add_machine() {
  local node="$1"
  unshare --net sleep infinity &
  machine[$node]=$!
  disown
  until [[ "$(readlink "/proc/${machine[$node]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]]; do sleep 0.01; done
  ip link add "port$node" type veth peer name eth0 netns "${machine[$node]}"
  ip link set "port$node" master switch0 up
  run_at "$node" ip addr add "$(ip_of "$node")/24" dev eth0
  run_at "$node" ip link set lo up
  run_at "$node" ip link set eth0 up
}
# Frames to and from the node vanish.
isolate() { ip link set "port$1" nomaster; }
rejoin() { ip link set "port$1" master switch0; }
# Frames from one node to another vanish; those of the other way arrive.
mute() { run_at "$1" ip neigh replace "$(ip_of "$2")" lladdr "$nobody" dev eth0 nud permanent; }
unmute() { run_at "$1" ip neigh del "$(ip_of "$2")" dev eth0; }

# ---- The cluster. ----

readonly voters="1@$(ip_of 1):9093,2@$(ip_of 2):9093,3@$(ip_of 3):9093"
start_at() { # NODE ROLE LISTENERS
  local dir="$data/node-$1"
  mkdir -p "$dir"
  printf '%s\n' "node.id: $1" "process.roles: $2" "controller.quorum.voters: $voters" "listeners: $3" \
    "http.listener: 127.0.0.1:0" "allow.plaintext.between.nodes: true" >"$dir/server.yaml"
  [[ "$2" == broker ]] || printf 'controller.listener.names: CONTROLLER\n' >>"$dir/server.yaml"
  run_at "$1" "$millrace" server --config "$dir/server.yaml" --data-dir "$dir/data" >"$dir/log" 2>&1 </dev/null &
  disown
}
for node in $controllers $brokers; do add_machine "$node"; done
for node in $controllers; do
  start_at "$node" controller "PLAINTEXT://$(ip_of "$node"):9092,CONTROLLER://$(ip_of "$node"):9093"
done
for node in $brokers; do start_at "$node" broker "PLAINTEXT://$(ip_of "$node"):9092"; done

bootstrap="$(list_of 9092 $brokers)"
at_controllers="$(list_of 9092 $controllers)"
# The controllers are asked, who may be unable to tell.
quorum() { # EXPRESSION [ADDRESS]
  "$millrace" quorum describe --timeout 5 --bootstrap "${2:-$at_controllers}" -o json | json "$1"
}
find_leader() { leader="$(quorum_leader)" && [[ "$leader" != -1 ]]; }
led_by_other() { local now; now="$(quorum_leader)" && [[ -n "$now" && "$now" != "$1" && "$now" != -1 ]]; }

await 90 'the brokers do not register' ask topic create events --partitions 6 --replication-factor 3
await 90 'not all replicas are in sync at first' in_sync events

# ---- Load: records, and topics one after the other through each broker in turn. ----

start_load events 500
: >"$work/acknowledged"
create_topics() {
  local i=0
  while [[ ! -e "$work/enough" ]]; do
    i=$((i + 1))
    if "$millrace" topic create "t$i" --timeout 20 --bootstrap "$(ip_of $((101 + i % 3))):9092" >/dev/null 2>>"$work/refused"
    then printf 't%s\n' "$i" >>"$work/acknowledged"; fi
    sleep 0.2  # A stream of changes, not a flood: each adds partitions to every broker.
  done
}
create_topics &
creator=$!
acknowledged() { wc -l <"$work/acknowledged"; }
more_than() { (($(acknowledged) > $1)); }
goes_on() { await 90 "no topic can be created $1" more_than $(($(acknowledged) + 3)); }
goes_on 'at first'

# Others change a few topics, all at once, through any controller; what they are told is checked for linearizability.
"$topic_clients" "$at_controllers" 3 200 >"$work/history" 2>"$work/history.err" &
changers=$!

# ---- Cuts. ----

others() { printf '%s\n' $2 | grep -vx "$1"; }

await 90 'nobody tells who leads' find_leader
isolate "$leader"
await 90 "controller $leader still leads, though it is cut off" led_by_other "$leader"
goes_on "while controller $leader is cut off"
rejoin "$leader"

await 90 'nobody tells who leads' find_leader
for other in $(others "$leader" "$controllers"); do mute "$leader" "$other"; done
await 90 "controller $leader still leads, though no other hears it" led_by_other "$leader"
goes_on "while nobody hears controller $leader"
for other in $(others "$leader" "$controllers"); do unmute "$leader" "$other"; done
goes_on "after controller $leader is heard again"

await 90 'nobody tells who leads' find_leader
asked="$(ip_of "$leader"):9092"  # The follower would pass the question on, to one who does not hear it.
term="$(quorum 'it["term"]' "$asked")"
follower="$(others "$leader" "$controllers" | head -n 1)"
mute "$follower" "$leader"
goes_on "while leader $leader does not hear follower $follower"
[[ "$(quorum 'it["leader"]' "$asked")/$(quorum 'it["term"]' "$asked")" == "$leader/$term" ]] ||
  fail "one follower that is not heard costs leader $leader of term $term its place"
unmute "$follower" "$leader"

victim="$(topic events "p['leader']")"
isolate "$victim"
bootstrap="$(list_of 9092 $(others "$victim" "$brokers"))"
await 90 "broker $victim is cut off and still leads" others_lead events "$victim"
rejoin "$victim"
bootstrap="$(list_of 9092 $brokers)"
await 90 "broker $victim does not come back in sync" in_sync events

victim="$(topic events "p['leader']")"
for other in $(others "$victim" "$brokers"); do mute "$victim" "$other"; done
await 90 "followers that do not hear broker $victim count as in sync" topic_holds events \
  "all(p['isr'] == [$victim] or p['leader'] not in ($victim, -1) for p in ps)"
for other in $(others "$victim" "$brokers"); do unmute "$victim" "$other"; done
await 90 "not all replicas are in sync after broker $victim is heard again" in_sync events

# ---- The verdict. ----

touch "$work/enough"
wait "$creator"
kill -TERM "$changers"
wait "$changers" || fail "no order explains what clients were told: $(head -c 2000 "$work/history.err")"
for node in $controllers; do
  await 90 "controller $node does not answer" "$millrace" topic list --timeout 5 --bootstrap "$(ip_of "$node"):9092"
  bootstrap="$(ip_of "$node"):9092" topics >"$work/there"
  sort "$work/acknowledged" | comm -23 - "$work/there" >"$work/lost"
  [[ ! -s "$work/lost" ]] || fail "acknowledged and not at controller $node: $(xargs <"$work/lost")"
done
end_load events
replicas_are_equal events 6
printf 'network_cuts_test: %s topics were acknowledged, all are there; changes: %s\n' "$(acknowledged)" \
  "$(cat "$work/history")"
