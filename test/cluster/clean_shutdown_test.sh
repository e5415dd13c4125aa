#!/usr/bin/env bash
# Three controllers and three brokers as real processes, under steady load with acks=all: three times a leader is stopped by
# SIGTERM, and comes back. No record fails at a producer, though it tries for a few seconds only. One that never tries again
# is told of what was under way, and of what came too late; nobody is left waiting. Every acknowledged record is there at the end,
# once, at its offset and in order, and the replicas are equal.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/equal_replicas.sh"
readonly check="$PWD/tools/bench/probe/delivery_check"

checkers=()
before_clean_up() { ((${#checkers[@]} == 0)) || kill -9 "${checkers[@]}" 2>/dev/null || true; }

start_cluster --controllers 3 --brokers 3

topic() { # EXPRESSION: what it says of the description of the topic
  ask topic describe events -o json |
    /usr/bin/python3 -c "import json, sys; ps = json.load(sys.stdin)['topics'][0]['partitions']; print($1)"
}
await_topic() { # WHAT EXPRESSION
  local deadline=$(($(date +%s) + 90))
  until [[ "$(topic "$2" 2>/dev/null)" == True ]]; do
    (($(date +%s) < deadline)) || fail "$1: $(ask topic describe events -o json)"
    sleep 0.1
  done
}
readonly whole="all(len(p['isr']) == 3 and p['leader'] in p['isr'] for p in ps)"

for name in events once; do
  ask topic create "$name" --partitions 6 --replication-factor 3 >/dev/null || fail 'a topic cannot be created'
done
await_topic 'not all replicas are in sync at first' "$whole"

"$check" --bootstrap "$bootstrap" --topic events --rate 500 --delivery-timeout-ms 5000 >"$work/events" 2>"$work/check.err" &
checkers+=($!)
"$check" --bootstrap "$bootstrap" --topic once --rate 500 --once >"$work/once" 2>"$work/once.err" &
checkers+=($!)
for round in 1 2 3; do
  victim="$(topic "ps[$round]['leader']")"
  cluster stop "$victim" 2>/dev/null || fail "broker $victim does not stop cleanly"
  await_topic "stopped broker $victim still leads" "all(p['leader'] not in ($victim, -1) for p in ps)"
  cluster start >/dev/null 2>"$work/start.log" || fail "broker $victim does not come back: $(cat "$work/start.log")"
  await_topic "after the stop of $victim not all replicas are in sync again" "$whole"
  kill -0 "${checkers[@]}" 2>/dev/null || fail "a checker ended: $(cat "$work/events" "$work/once")"
done
kill -TERM "${checkers[@]}"
status=0
for checker in "${checkers[@]}"; do wait "$checker" || status=$?; done
checkers=()
cat "$work/events" "$work/once"
((status == 0)) || fail 'the records are not what was acknowledged'
/usr/bin/python3 - "$work/events" "$work/once" <<'PYTHON' || fail "records failed at the producer"
import json, sys
events, once = (json.load(open(path)) for path in sys.argv[1:])
told = {"NOT_LEADER_OR_FOLLOWER", "OUTCOME_UNKNOWN", "SHUTTING_DOWN"}
sys.exit(events["failed"] != {} or events["acknowledged"] != events["sent"] or not told.issuperset(once["failed"]))
PYTHON
replicas_are_equal events 6
replicas_are_equal once 6
