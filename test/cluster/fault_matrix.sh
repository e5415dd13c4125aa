#!/usr/bin/env bash
# Prints the rows of docs/fault_matrix.md that are of processes: three controllers and three brokers, and for each fault a topic
# of its own under steady load with acks=all, what became of its records, and the longest time without an acknowledgement.
#
# Usage, from the root of the tree:
#   bazel build --config=release //tools/millrace //tools/bench/probe:delivery_check
#   (cd bazel-bin && ../test/cluster/fault_matrix.sh)
set -euo pipefail

readonly tree="$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")"
source "$tree/test/cluster/cluster_of_processes.sh"
source "$tree/test/cluster/checked_load.sh"
cluster() { "$tree/tools/local_cluster.sh" "$@" --data-dir "$data"; }

start_cluster --controllers 3 --brokers 3

topic='' # The one under load.
start_all() { bring_back 'what was killed or stopped'; }
moved_from() { await 90 "broker $1 still leads" others_lead "$topic" "$1"; }
quiet() { cluster "$@" 2>/dev/null; }

# The faults, each until it is over.
kill_leader() { local b; b="$(topic "$topic" "p['leader']")"; quiet kill "$b"; moved_from "$b"; start_all; }
kill_followers_in_turn() {
  local b
  for b in $(topic "$topic" "' '.join(str(r) for r in ps[0]['isr'] if r != ps[0]['leader'])"); do
    quiet kill "$b"; moved_from "$b"; start_all; await 90 "broker $b is not in sync" in_sync "$topic"
  done
}
kill_all_brokers() { local b; for b in 101 102 103; do quiet kill "$b"; done; start_all; }
pause_leader() { local b; b="$(topic "$topic" "p['leader']")"; quiet pause "$b"; moved_from "$b"; quiet resume "$b"; }
stop_leader() { local b; b="$(topic "$topic" "p['leader']")"; quiet stop "$b"; moved_from "$b"; start_all; }
kill_controller() { local c; c="$(quorum_leader)"; quiet kill "$c"; start_all; }
pause_controller() {
  local c was
  was="$(quorum_leader)"
  quiet pause "$was"
  until c="$(quorum_leader 2>/dev/null)" && [[ "$c" != "$was" && "$c" != -1 ]]; do sleep 0.1; done
  quiet resume "$was"
}
kill_all_controllers() { local c; for c in 1 2 3; do quiet kill "$c"; done; start_all; }
nothing() { await 90 'not all are in sync' in_sync "$topic"; sleep 3; }

printf '| fault | sent | acknowledged | lost | twice | out of order | failed | longest gap | of one partition | replicas |\n'
printf '|---|---|---|---|---|---|---|---|---|---|\n'
for fault in nothing kill_leader kill_followers_in_turn kill_all_brokers pause_leader stop_leader kill_controller \
  pause_controller kill_all_controllers; do
  topic="${fault//_/-}"
  ask topic create "$topic" --partitions 6 --replication-factor 3 >/dev/null || fail "no topic for $fault"
  await 90 'not all replicas are in sync at first' in_sync "$topic"
  start_load "$topic" 1000
  # Some records before the fault, of each partition.
  sleep 1
  "$fault"
  await 90 "after '$fault' not all replicas are in sync again" in_sync "$topic"
  sleep 0.5
  end_load "$topic" >/dev/null
  replicas_are_equal "$topic" 6 >/dev/null
  /usr/bin/python3 -c 'import json, sys
r = json.load(open(sys.argv[2]))
print("| %s | %s | %s | %s | %s | %s | %s | %.0f ms | %.0f ms | equal |" % (sys.argv[1].replace("_", " "), r["sent"], r["acknowledged"],
      r["lost"] + r["moved"], r["duplicates"], r["out_of_order"], sum(r["failed"].values()), r["longest_gap_ms"],
      r["longest_partition_gap_ms"]))' "$fault" "$work/$topic.report"
done
