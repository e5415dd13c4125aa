#!/usr/bin/env bash
# Three controllers and four brokers as real processes, under steady load with acks=all: partitions move to other brokers
# while those that come, or the leaders that go, are killed; a move is taken back; a broker is decommissioned until it holds
# nothing, and leaves. Every acknowledged record is there at the end, once, at its offset and in order, and the replicas are equal.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/equal_replicas.sh"
readonly check="$PWD/tools/bench/probe/delivery_check"

checker=''
before_clean_up() {
  [[ -z "$checker" ]] || kill -9 "$checker" 2>/dev/null || true
  for n in 101 102 103 104; do cluster resume "$n" >/dev/null 2>&1 || true; done
}

start_cluster --controllers 3 --brokers 4

of_json() { /usr/bin/python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
topic() { ask topic describe events -o json | of_json "(lambda ps: $1)(d['topics'][0]['partitions'])"; }
await() { # WHAT EXPRESSION-OF-ps
  local deadline=$(($(date +%s) + 90))
  until [[ "$(topic "$2" 2>/dev/null)" == True ]]; do
    (($(date +%s) < deadline)) || fail "$1: $(ask topic describe events)"
    sleep 0.1
  done
}
back() { cluster start >/dev/null 2>"$work/start.log" || fail "node $1 does not come back: $(cat "$work/start.log")"; }
replicas_of() { topic "','.join(map(str, ps[$1]['replicas']))"; }
outsider_of() { topic "next(b for b in (101, 102, 103, 104) if b not in ps[$1]['replicas'])"; }
under_way() { ask partition reassign --status -o json | of_json "len(d['reassignments'])"; }

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 'not all replicas are in sync at first' "all(len(p['isr']) == 3 for p in ps)"
"$check" --bootstrap "$bootstrap" --topic events --rate 1000 >"$work/report" 2>"$work/check.err" &
checker=$!

# The broker that comes is killed while it has nothing yet: the move waits for it, and ends when it is back.
comes="$(outsider_of 0)"
IFS=, read -r first second third <<<"$(replicas_of 0)"
cluster pause "$comes" 2>/dev/null
ask partition reassign events:0 --replicas "$comes,$second,$third" >/dev/null || fail 'partition 0 cannot be reassigned'
await 'nobody comes to partition 0' "ps[0]['adding'] == [$comes] and ps[0]['removing'] == [$first]"
[[ "$(under_way)" == 1 ]] || fail 'the reassignment is not under way'
cluster kill "$comes" 2>/dev/null
ask topic describe events >/dev/null
[[ "$(under_way)" == 1 ]] || fail 'the reassignment ended without the broker that comes'
back "$comes"
await 'partition 0 has not moved' \
  "sorted(ps[0]['isr']) == sorted(ps[0]['replicas']) and ps[0]['replicas'] == [$comes, $second, $third]"
[[ "$(under_way)" == 0 ]] || fail 'the reassignment is not over'

# The leader that goes is killed right after the move began.
goes="$(topic "ps[1]['leader']")"
comes="$(outsider_of 1)"
target="$(topic "','.join(str($comes if b == $goes else b) for b in ps[1]['replicas'])")"
ask partition reassign events:1 --replicas "$target" >/dev/null || fail 'partition 1 cannot be reassigned'
cluster kill "$goes" 2>/dev/null
await 'partition 1 has not moved' "ps[1]['replicas'] == [$target] and len(ps[1]['isr']) == 3"
back "$goes"
await 'not all replicas are in sync again' "all(len(p['isr']) == len(p['replicas']) == 3 for p in ps)"

# Taken back while the broker that comes does not answer.
comes="$(outsider_of 2)"
before="$(replicas_of 2)"
cluster pause "$comes" 2>/dev/null
ask partition reassign events:2 --replicas "$comes,${before%,*}" >/dev/null || fail 'partition 2 cannot be reassigned'
ask partition cancel events:2 >/dev/null || fail 'the reassignment cannot be taken back'
cluster resume "$comes" 2>/dev/null
await 'partition 2 is not as before' "ps[2]['replicas'] == [$before] and ps[2]['adding'] == []"

# What cannot be is refused, with the numbers.
if ask partition reassign events:3 --replicas 101,109 2>"$work/refusal"; then fail 'an unknown broker was taken'; fi
grep -q 'broker 109 is not registered; registered are 101,102,103,104' "$work/refusal" || fail "$(cat "$work/refusal")"

# A broker leaves for good.
await 'not all replicas are in sync again' "all(len(p['isr']) == len(p['replicas']) == 3 for p in ps)"
# At first so slowly that nothing can be done; then as fast as may be, by the same command.
ask cluster decommission 104 --throttle 1000 --no-wait >/dev/null || fail 'broker 104 cannot be decommissioned'
moves="$(topic "sum(104 in p['replicas'] for p in ps)")"
((moves > 0)) || fail "broker 104 held nothing: $(ask topic describe events)"
[[ "$(ask partition reassign --status -o json | of_json "[r['throttle_bytes_per_s'] for r in d['reassignments']]")" == \
  "$(/usr/bin/python3 -c "print([1000] * $moves)")" ]] || fail "not all moves are throttled: $(ask partition reassign --status)"
ask cluster decommission 104 --throttle 500000000 2>/dev/null | grep -q 'broker 104 holds nothing' || fail 'broker 104 is not decommissioned'
[[ "$(topic "sum(104 in p['replicas'] for p in ps)")" == 0 ]] || fail 'broker 104 holds partitions'
[[ "$(ask cluster describe -o json | of_json "[b['replicas'] for b in d['brokers'] if b['cordoned']]")" == '[0]' ]] ||
  fail 'broker 104 is not cordoned and empty'
deadline=$(($(date +%s) + 30))
while find "$data/node-104" -type d -name 'events-[0-5]' | grep -q .; do
  (($(date +%s) < deadline)) || fail "broker 104 keeps $(find "$data/node-104" -type d -name 'events-*')"
  sleep 0.1
done
if ask cluster unregister 104 2>"$work/refusal"; then fail 'a running broker was unregistered'; fi
kill -TERM "$(cat "$data/node-104/pid")"
deadline=$(($(date +%s) + 30))
until ask cluster unregister 104 >/dev/null 2>"$work/refusal"; do
  (($(date +%s) < deadline)) || fail "broker 104 is not unregistered: $(cat "$work/refusal")"
  sleep 0.2
done
[[ "$(ask cluster describe -o json | of_json "[b['broker'] for b in d['brokers']]")" == '[101, 102, 103]' ]] ||
  fail 'broker 104 is still there'
await 'not all replicas are in sync at the end' "all(len(p['isr']) == len(p['replicas']) == 3 for p in ps)"

kill -0 "$checker" 2>/dev/null || fail "the checker ended: $(cat "$work/report")"
kill -TERM "$checker"
status=0
wait "$checker" || status=$?
checker=''
cat "$work/report"
((status == 0)) || fail 'the records are not what was acknowledged'
replicas_are_equal events 6
