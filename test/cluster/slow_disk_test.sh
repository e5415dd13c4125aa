#!/usr/bin/env bash
# Three controllers and three brokers as real processes, under steady load with acks=all: the syncs of one broker take 0.7 s
# more each, by strace. What it leads goes to the others, and comes back when its disk is well again; every acknowledged record
# is there, once, at its offset and in order. To be run by hand: it needs strace, and leave to trace.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly check="$PWD/tools/bench/probe/delivery_check"
readonly slow=101

checker=''
tracer=''
before_clean_up() {
  [[ -z "$tracer" ]] || kill "$tracer" 2>/dev/null || true
  [[ -z "$checker" ]] || kill -9 "$checker" 2>/dev/null || true
}

start_cluster --controllers 3 --brokers 3

of_json() { /usr/bin/python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
topic() { ask topic describe events -o json | of_json "(lambda ps: $1)(d['topics'][0]['partitions'])"; }
now_ms() { date +%s%3N; }
await() { # WHAT SECONDS EXPRESSION-OF-ps
  local deadline=$(($(now_ms) + $2 * 1000))
  until [[ "$(topic "$3" 2>/dev/null)" == True ]]; do
    (($(now_ms) < deadline)) || fail "$1: $(ask topic describe events)"
    sleep 0.2
  done
}
slow_dirs() { ask cluster describe -o json | of_json "[b['broker'] for b in d['brokers'] if any(l['slow'] for l in b['log_dirs'])]"; }

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 'not all replicas are in sync at first' 60 "all(len(p['isr']) == 3 for p in ps)"
"$check" --bootstrap "$bootstrap" --topic events --rate 300 >"$work/report" 2>"$work/check.err" &
checker=$!
await "broker $slow leads nothing" 20 "any(p['leader'] == $slow for p in ps)"
[[ "$(slow_dirs)" == '[]' ]] || fail 'a disk is slow from the start'

strace -q -f -o /dev/null -p "$(cat "$data/node-$slow/pid")" -e trace=fsync,fdatasync,io_uring_enter \
  -e inject=fsync,fdatasync,io_uring_enter:delay_enter=700000 2>"$work/strace.err" &
tracer=$!
began=$(now_ms)
await "broker $slow still leads on its slow disk" 60 "all(p['leader'] not in (-1, $slow) for p in ps)"
printf 'slow_disk_test: all leaderships moved %s ms after the disk became slow\n' "$(($(now_ms) - began))"
[[ "$(slow_dirs)" == "[$slow]" ]] || fail "slow are $(slow_dirs)"
grep -q 'much slower than others' "$data/node-$slow/log" || fail "broker $slow does not say why"
grep -hq "a sync in log directory .* of broker $slow takes .* in the median of the others" "$data"/node-[123]/log ||
  fail 'no controller says why'

kill "$tracer"
wait "$tracer" 2>/dev/null || true
tracer=''
began=$(now_ms)
await "broker $slow does not lead again" 90 "any(p['leader'] == $slow for p in ps)"
printf 'slow_disk_test: leaderships came back %s ms after the disk became well\n' "$(($(now_ms) - began))"
[[ "$(slow_dirs)" == '[]' ]] || fail "slow are $(slow_dirs)"
await 'not all replicas are in sync at the end' 60 "all(len(p['isr']) == 3 for p in ps)"

kill -0 "$checker" 2>/dev/null || fail "the checker ended: $(cat "$work/report")"
kill -TERM "$checker"
status=0
wait "$checker" || status=$?
checker=''
cat "$work/report"
((status == 0)) || fail 'the records are not what was acknowledged'
