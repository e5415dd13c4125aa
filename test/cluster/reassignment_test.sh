#!/usr/bin/env bash
# Three controllers and four brokers as real processes, under steady load with acks=all: partitions move to other brokers
# while those that come, or the leaders that go, are killed; a move is taken back; a broker is decommissioned until it holds
# nothing, and leaves. Every acknowledged record is there at the end, once, at its offset and in order, and the replicas are equal.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"

start_cluster --controllers 3 --brokers 4

replicas_of() { topic events "','.join(map(str, ps[$1]['replicas']))"; }
outsider_of() { topic events "next(b for b in (101, 102, 103, 104) if b not in ps[$1]['replicas'])"; }
moves() { ask partition reassign --status -o json | json "$1"; } # EXPRESSION
under_way() { moves "len(it['reassignments'])"; }

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 90 'not all replicas are in sync at first' in_sync events
start_load events 1000

# The broker that comes is killed while it has nothing yet: the move waits for it, and ends when it is back.
comes="$(outsider_of 0)"
IFS=, read -r first second third <<<"$(replicas_of 0)"
cluster pause "$comes"
ask partition reassign events:0 --replicas "$comes,$second,$third" >/dev/null || fail 'partition 0 cannot be reassigned'
await 90 'nobody comes to partition 0' topic_holds events "ps[0]['adding'] == [$comes] and ps[0]['removing'] == [$first]"
[[ "$(under_way)" == 1 ]] || fail 'the reassignment is not under way'
cluster kill "$comes"
ask topic describe events >/dev/null
[[ "$(under_way)" == 1 ]] || fail 'the reassignment ended without the broker that comes'
bring_back "broker $comes"
await 90 'partition 0 has not moved' topic_holds events \
  "sorted(ps[0]['isr']) == sorted(ps[0]['replicas']) and ps[0]['replicas'] == [$comes, $second, $third]"
[[ "$(under_way)" == 0 ]] || fail 'the reassignment is not over'

# The leader that goes is killed right after the move began.
goes="$(topic events "ps[1]['leader']")"
comes="$(outsider_of 1)"
target="$(topic events "','.join(str($comes if b == $goes else b) for b in ps[1]['replicas'])")"
ask partition reassign events:1 --replicas "$target" >/dev/null || fail 'partition 1 cannot be reassigned'
cluster kill "$goes"
await 90 'partition 1 has not moved' topic_holds events "ps[1]['replicas'] == [$target] and len(ps[1]['isr']) == 3"
bring_back "broker $goes"
await 90 'not all replicas are in sync again' in_sync events

# Taken back while the broker that comes does not answer.
comes="$(outsider_of 2)"
before="$(replicas_of 2)"
cluster pause "$comes"
ask partition reassign events:2 --replicas "$comes,${before%,*}" >/dev/null || fail 'partition 2 cannot be reassigned'
ask partition cancel events:2 >/dev/null || fail 'the reassignment cannot be taken back'
cluster resume "$comes"
await 90 'partition 2 is not as before' topic_holds events "ps[2]['replicas'] == [$before] and ps[2]['adding'] == []"

# What cannot be is refused, with the numbers.
refused 'broker 109 is not registered; registered are 101,102,103,104' ask partition reassign events:3 --replicas 101,109

# A broker leaves for good.
await 90 'not all replicas are in sync again' in_sync events
# At first so slowly that nothing can be done; then as fast as may be, by the same command.
ask cluster decommission 104 --throttle 1000 --no-wait >/dev/null || fail 'broker 104 cannot be decommissioned'
moves="$(topic events "sum(104 in p['replicas'] for p in ps)")"
((moves > 0)) || fail "broker 104 held nothing: $(ask topic describe events)"
[[ "$(moves "[r['throttle_bytes_per_s'] for r in it['reassignments']]")" == \
  "$(/usr/bin/python3 -c "print([1000] * $moves)")" ]] || fail "not all moves are throttled: $(ask partition reassign --status)"
ask cluster decommission 104 --throttle 500000000 2>/dev/null | grep -q 'broker 104 holds nothing' || fail 'broker 104 is not decommissioned'
[[ "$(topic events "sum(104 in p['replicas'] for p in ps)")" == 0 ]] || fail 'broker 104 holds partitions'
[[ "$(ask cluster describe -o json | json "[b['replicas'] for b in it['brokers'] if b['cordoned']]")" == '[0]' ]] ||
  fail 'broker 104 is not cordoned and empty'
holds_no_logs() { ! find "$data/node-104" -type d -name 'events-[0-5]' | grep .; }
await 30 'broker 104 keeps logs' holds_no_logs
if ask cluster unregister 104; then fail 'a running broker was unregistered'; fi
kill -TERM "$(cat "$data/node-104/pid")"
await 30 'broker 104 is not unregistered' ask cluster unregister 104
[[ "$(ask cluster describe -o json | json "[b['broker'] for b in it['brokers']]")" == '[101, 102, 103]' ]] ||
  fail 'broker 104 is still there'
await 90 'not all replicas are in sync at the end' in_sync events

end_load events
replicas_are_equal events 6
