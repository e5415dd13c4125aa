#!/usr/bin/env bash
# Three controllers and three brokers as real processes, under steady load with acks=all: writes to the logs of one broker fail
# with EIO, by strace. What it leads goes to the others, with the reason in its log and metrics; started again with a disk that
# is well it is in sync again. Every acknowledged record is there, once, at its offset and in order, and the replicas are equal.
# To be run by hand: it needs strace, and leave to trace.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"
readonly failing=101

start_cluster --controllers 3 --brokers 3

offline() { metric "$failing" millrace_log_dir_offline; }

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 60 'not all replicas are in sync at first' in_sync events
start_load events 500
await 20 "broker $failing leads nothing" topic_holds events "any(p['leader'] == $failing for p in ps)"
[[ "$(offline)" == 0 ]] || fail 'the log directory is offline from the start'

# The files of the logs alone: the broker's metadata lies on another disk, as it were.
files=()
while IFS= read -r file; do files+=(-P "$file"); done < <(find "$data/node-$failing/data/logs" -name '*.log')
((${#files[@]} > 0)) || fail "broker $failing has no logs"
strace -q -f -o /dev/null -p "$(cat "$data/node-$failing/pid")" "${files[@]}" -e trace=pwrite64,pwritev,pwritev2,fdatasync,fsync \
  -e inject=pwrite64,pwritev,pwritev2,fdatasync,fsync:error=EIO 2>"$work/strace.err" &
tracer=$!
began=$(now_ms)
await 60 "broker $failing still leads, though its disk fails" others_lead events "$failing"
printf 'failed_log_dir_test: all leaderships moved %s ms after the disk began to fail\n' "$(($(now_ms) - began))"
[[ "$(offline)" == 1 ]] || fail "millrace_log_dir_offline is $(offline)"
await 60 "broker $failing is in sync, though its disk failed" topic_holds events "all($failing not in p['isr'] for p in ps)"

kill "$tracer"
wait "$tracer" 2>/dev/null || true
cluster stop "$failing" || fail "broker $failing does not stop"
bring_back "broker $failing"
await 60 'not all replicas are in sync at the end' in_sync events

end_load events
replicas_are_equal events 6
