#!/usr/bin/env bash
# Three controllers and three brokers as real processes: the durability of a topic is raised under steady load, while one of its
# followers stands still. As long as that one is in sync and has not said that it synced what came before, the topic is said
# to be on its way; then it is durable, and its leader may be killed. Every acknowledged record is there at the end, once.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/one_partition.sh"
source "$PWD/test/cluster/equal_replicas.sh"
readonly check="$PWD/tools/bench/probe/delivery_check"

checker=''
before_clean_up() {
  [[ -z "$checker" ]] || kill -9 "$checker" 2>/dev/null || true
  for n in 101 102 103; do cluster resume "$n" >/dev/null 2>&1 || true; done
}

start_cluster --controllers 3 --brokers 3

ask topic create t --partitions 1 --replication-factor 3 --config durability=replicated >/dev/null ||
  fail 'the topic cannot be created'
await 'not all are in sync at first' 30 holds 'len(p["isr"]) == 3'

# Sends until it is told to stop; its report is the verdict.
"$check" --bootstrap "$bootstrap" --topic t --rate 1000 >"$work/report" 2>"$work/check.err" &
checker=$!
readonly end='sum(r["end_offset"] for r in json.load(sys.stdin)["partitions"][0]["replicas"])'
grown() { (($(ask partition verify t -o json | /usr/bin/python3 -c "import json, sys; print($end)") > 0)); }
await 'nothing is acknowledged' 20 grown

leader="$(topic 'p["leader"]')"
paused="$(topic 'next(r for r in p["replicas"] if r != p["leader"])')"
cluster pause "$paused" 2>/dev/null
ask topic alter t --config durability=durable >/dev/null || fail 'the durability cannot be raised'
is_told() {
  ask topic describe t >"$work/described"
  grep -q 'the durability of 1 partition(s) is being raised' "$work/described"
}
await 'it is not said to be raised' 4 is_told
holds 'p["raising_durability"] and len(p["isr"]) == 3' || fail 'raised at once, though one member stands still'

# It falls out of the set, which then has all on disk.
await 'it is being raised for ever' 30 holds "not p['raising_durability'] and $paused not in p['isr']"
ask topic describe t >"$work/described"
if grep -q 'is being raised' "$work/described"; then fail "said to be raised still: $(cat "$work/described")"; fi
cluster resume "$paused" 2>/dev/null
await 'the paused follower does not come back' 30 holds 'len(p["isr"]) == 3'

cluster kill "$leader" 2>/dev/null
await "killed broker $leader still leads" 30 holds "p['leader'] not in ($leader, -1)"
cluster start >/dev/null 2>"$work/start.log" || fail "broker $leader does not come back: $(cat "$work/start.log")"
await 'not all are in sync again' 60 holds 'len(p["isr"]) == 3'

# Down, and up again with nobody in the way.
ask topic alter t --config durability=replicated >/dev/null || fail 'the durability cannot be lowered'
ask topic alter t --config durability=durable >/dev/null || fail 'the durability cannot be raised again'
await 'it is being raised for ever' 20 holds 'not p["raising_durability"] and len(p["isr"]) == 3'

kill -TERM "$checker"
status=0
wait "$checker" || status=$?
checker=''
cat "$work/report"
((status == 0)) || fail 'the records are not what was acknowledged'
replicas_are_equal t 1
