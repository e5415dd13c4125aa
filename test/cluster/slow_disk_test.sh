#!/usr/bin/env bash
# Three controllers and three brokers as real processes, under steady load with acks=all: the syncs of one broker take 0.7 s
# more each, by strace. What it leads goes to the others, and comes back when its disk is well again; every acknowledged record
# is there, once, at its offset and in order. To be run by hand: it needs strace, and leave to trace.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"
readonly slow=101

start_cluster --controllers 3 --brokers 3

slow_dirs() { ask cluster describe -o json | json "[b['broker'] for b in it['brokers'] if any(l['slow'] for l in b['log_dirs'])]"; }

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 60 'not all replicas are in sync at first' in_sync events
start_load events 300
await 20 "broker $slow leads nothing" topic_holds events "any(p['leader'] == $slow for p in ps)"
[[ "$(slow_dirs)" == '[]' ]] || fail 'a disk is slow from the start'

strace -q -f -o /dev/null -p "$(cat "$data/node-$slow/pid")" -e trace=fsync,fdatasync,io_uring_enter \
  -e inject=fsync,fdatasync,io_uring_enter:delay_enter=700000 2>"$work/strace.err" &
tracer=$!
began=$(now_ms)
await 60 "broker $slow still leads on its slow disk" others_lead events "$slow"
printf 'slow_disk_test: all leaderships moved %s ms after the disk became slow\n' "$(($(now_ms) - began))"
[[ "$(slow_dirs)" == "[$slow]" ]] || fail "slow are $(slow_dirs)"
grep -q 'much slower than others' "$data/node-$slow/log" || fail "broker $slow does not say why"
grep -hq "a sync in log directory .* of broker $slow takes .* in the median of the others" "$data"/node-[123]/log ||
  fail 'no controller says why'

kill "$tracer"
wait "$tracer" 2>/dev/null || true
began=$(now_ms)
await 90 "broker $slow does not lead again" topic_holds events "any(p['leader'] == $slow for p in ps)"
printf 'slow_disk_test: leaderships came back %s ms after the disk became well\n' "$(($(now_ms) - began))"
[[ "$(slow_dirs)" == '[]' ]] || fail "slow are $(slow_dirs)"
await 60 'not all replicas are in sync at the end' in_sync events

end_load events
