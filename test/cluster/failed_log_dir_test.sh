#!/usr/bin/env bash
# Three controllers and three brokers as real processes, under steady load with acks=all: writes to the logs of one broker fail
# with EIO, by strace. What it leads goes to the others, with the reason in its log and metrics; started again with a disk that
# is well it is in sync again. Every acknowledged record is there, once, at its offset and in order, and the replicas are equal.
# To be run by hand: it needs strace, and leave to trace.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/equal_replicas.sh"
readonly check="$PWD/tools/bench/probe/delivery_check"
readonly failing=101

checker=''
tracer=''
before_clean_up() {
  [[ -z "$tracer" ]] || kill "$tracer" 2>/dev/null || true
  [[ -z "$checker" ]] || kill -9 "$checker" 2>/dev/null || true
}

start_cluster --controllers 3 --brokers 3

topic() { # EXPRESSION: what it says of the description of the topic
  ask topic describe events -o json |
    /usr/bin/python3 -c "import json, sys; ps = json.load(sys.stdin)['topics'][0]['partitions']; print($1)"
}
now_ms() { date +%s%3N; }
await() { # WHAT SECONDS EXPRESSION-OF-ps
  local deadline=$(($(now_ms) + $2 * 1000))
  until [[ "$(topic "$3" 2>/dev/null)" == True ]]; do
    (($(now_ms) < deadline)) || fail "$1: $(ask topic describe events)"
    sleep 0.1
  done
}
offline() { /usr/bin/python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())' "http://127.0.0.1:$((base + 210))/metrics" |
  awk 'index($1, "millrace_log_dir_offline{") == 1 {print $2}'; }

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 'not all replicas are in sync at first' 60 "all(len(p['isr']) == 3 for p in ps)"
"$check" --bootstrap "$bootstrap" --topic events --rate 500 >"$work/report" 2>"$work/check.err" &
checker=$!
await "broker $failing leads nothing" 20 "any(p['leader'] == $failing for p in ps)"
[[ "$(offline)" == 0 ]] || fail 'the log directory is offline from the start'

# The files of the logs alone: the broker's metadata lies on another disk, as it were.
files=()
while IFS= read -r file; do files+=(-P "$file"); done < <(find "$data/node-$failing/data/logs" -name '*.log')
((${#files[@]} > 0)) || fail "broker $failing has no logs"
strace -q -f -o /dev/null -p "$(cat "$data/node-$failing/pid")" "${files[@]}" -e trace=pwrite64,pwritev,pwritev2,fdatasync,fsync \
  -e inject=pwrite64,pwritev,pwritev2,fdatasync,fsync:error=EIO 2>"$work/strace.err" &
tracer=$!
began=$(now_ms)
await "broker $failing still leads, though its disk fails" 60 "all(p['leader'] not in (-1, $failing) for p in ps)"
printf 'failed_log_dir_test: all leaderships moved %s ms after the disk began to fail\n' "$(($(now_ms) - began))"
[[ "$(offline)" == 1 ]] || fail "millrace_log_dir_offline is $(offline)"
await "broker $failing is in sync, though its disk failed" 60 "all($failing not in p['isr'] for p in ps)"

kill "$tracer"
wait "$tracer" 2>/dev/null || true
tracer=''
cluster stop "$failing" 2>/dev/null || fail "broker $failing does not stop"
cluster start >/dev/null 2>"$work/start.log" || fail "broker $failing does not come back: $(cat "$work/start.log")"
await 'not all replicas are in sync at the end' 60 "all(len(p['isr']) == 3 for p in ps)"

kill -0 "$checker" 2>/dev/null || fail "the checker ended: $(cat "$work/report")"
kill -TERM "$checker"
status=0
wait "$checker" || status=$?
checker=''
cat "$work/report"
((status == 0)) || fail 'the records are not what was acknowledged'
replicas_are_equal events 6
