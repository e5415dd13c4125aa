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
source "$tree/test/cluster/equal_replicas.sh"
cluster() { "$tree/tools/local_cluster.sh" "$@" --data-dir "$data"; }
readonly check="$PWD/tools/bench/probe/delivery_check"

checker=''
before_clean_up() {
  [[ -z "$checker" ]] || kill -9 "$checker" 2>/dev/null || true
  for n in 1 2 3 101 102 103; do cluster resume "$n" >/dev/null 2>&1 || true; done
}

start_cluster --controllers 3 --brokers 3

topic='' # The one under load.
says() { # EXPRESSION: what it says of the topic's partitions
  ask topic describe "$topic" -o json |
    /usr/bin/python3 -c "import json, sys; ps = json.load(sys.stdin)['topics'][0]['partitions']; print($1)"
}
await() { # WHAT EXPRESSION
  local deadline=$(($(date +%s) + 90))
  until [[ "$(says "$2" 2>/dev/null)" == True ]]; do
    (($(date +%s) < deadline)) || fail "$1: $(ask topic describe "$topic" -o json)"
    sleep 0.1
  done
}
readonly whole="all(len(p['isr']) == 3 and p['leader'] in p['isr'] for p in ps)"
active_controller() { ask quorum describe -o json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["leader"])'; }
start_all() { cluster start >/dev/null 2>"$work/start.log" || fail "not all come back: $(cat "$work/start.log")"; }
moved_from() { await "broker $1 still leads" "all(p['leader'] not in ($1, -1) for p in ps)"; }
quiet() { cluster "$@" 2>/dev/null; }

# The faults, each until it is over.
kill_leader() { local b; b="$(says "ps[0]['leader']")"; quiet kill "$b"; moved_from "$b"; start_all; }
kill_followers_in_turn() {
  local b
  for b in $(says "' '.join(str(r) for r in ps[0]['isr'] if r != ps[0]['leader'])"); do
    quiet kill "$b"; moved_from "$b"; start_all; await "broker $b is not in sync" "$whole"
  done
}
kill_all_brokers() { local b; for b in 101 102 103; do quiet kill "$b"; done; start_all; }
pause_leader() { local b; b="$(says "ps[0]['leader']")"; quiet pause "$b"; moved_from "$b"; quiet resume "$b"; }
stop_leader() { local b; b="$(says "ps[0]['leader']")"; quiet stop "$b"; moved_from "$b"; start_all; }
kill_controller() { local c; c="$(active_controller)"; quiet kill "$c"; start_all; }
pause_controller() {
  local c was
  was="$(active_controller)"
  quiet pause "$was"
  until c="$(active_controller 2>/dev/null)" && [[ "$c" != "$was" && "$c" != -1 ]]; do sleep 0.1; done
  quiet resume "$was"
}
kill_all_controllers() { local c; for c in 1 2 3; do quiet kill "$c"; done; start_all; }
nothing() { await 'not all are in sync' "$whole"; sleep 3; }

printf '| fault | sent | acknowledged | lost | twice | out of order | failed | longest gap | of one partition | replicas |\n'
printf '|---|---|---|---|---|---|---|---|---|---|\n'
for fault in nothing kill_leader kill_followers_in_turn kill_all_brokers pause_leader stop_leader kill_controller \
  pause_controller kill_all_controllers; do
  topic="${fault//_/-}"
  ask topic create "$topic" --partitions 6 --replication-factor 3 >/dev/null || fail "no topic for $fault"
  await 'not all replicas are in sync at first' "$whole"
  "$check" --bootstrap "$bootstrap" --topic "$topic" --rate 1000 >"$work/report" 2>"$work/check.err" &
  checker=$!
  # Some records before the fault, of each partition.
  sleep 1
  "$fault"
  await "after '$fault' not all replicas are in sync again" "$whole"
  sleep 0.5
  kill -TERM "$checker"
  wait "$checker" || fail "the records are not what was acknowledged: $(cat "$work/report")"
  checker=''
  replicas_are_equal "$topic" 6 >/dev/null
  /usr/bin/python3 -c 'import json, sys
r = json.load(open(sys.argv[2]))
print("| %s | %s | %s | %s | %s | %s | %s | %.0f ms | %.0f ms | equal |" % (sys.argv[1].replace("_", " "), r["sent"], r["acknowledged"],
      r["lost"] + r["moved"], r["duplicates"], r["out_of_order"], sum(r["failed"].values()), r["longest_gap_ms"],
      r["longest_partition_gap_ms"]))' "$fault" "$work/report"
done
