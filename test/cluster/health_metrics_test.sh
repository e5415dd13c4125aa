#!/usr/bin/env bash
# Three controllers and three brokers as real processes, whose metrics are read while one broker after the other is killed and
# when they are back: each gauge of what is missing has the number of the partitions concerned, and is 0 again; the counters
# of in-sync sets and elections have moved. And whatever a cluster serves is in docs/metrics.md.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3

# Its series, of all the nodes, added up.
value() { # METRIC NODE...
  local name="$1" node
  shift
  for node in "$@"; do metrics_of "$node"; done |
    awk -v name="$name" '$1 == name || index($1, name "{") == 1 {sum += $2} END {printf "%d", sum}'
}
await_value() { # METRIC VALUE NODE...
  local name="$1" wanted="$2"
  shift 2
  await 60 "$name of nodes $* is not $wanted" says "$wanted" value "$name" "$@"
}
# Partitions with too few replicas in sync: in all, at min.insync.replicas and below it.
await_missing() { # UNDER-REPLICATED AT-MIN UNDER-MIN BROKER...
  local under="$1" at_min="$2" under_min="$3"
  shift 3
  await_value millrace_broker_under_replicated_partitions "$under" "$@"
  await_value millrace_broker_at_min_isr_partitions "$at_min" "$@"
  await_value millrace_broker_under_min_isr_partitions "$under_min" "$@"
}
await_without_leader() { for node in 1 2 3; do await_value millrace_controller_partitions_without_leader "$1" "$node"; done; }

readonly partitions=6
ask topic create t --partitions $partitions --replication-factor 3 --config min.insync.replicas=2 >/dev/null
await_missing 0 0 0 101 102 103
await_without_leader 0
await_value millrace_broker_leaders $partitions 101 102 103

led="$(topic t "sum(p['leader'] == 102 for p in ps)")"
shrinks="$(value millrace_isr_shrinks_total 101 103)"
elections="$(value millrace_controller_leader_elections_total 1)"
((led > 0)) || fail 'broker 102 leads nothing'
cluster kill 102
await_missing $partitions $partitions 0 101 103
await_without_leader 0
await_value millrace_broker_leaders $partitions 101 103
shrunk=$(($(value millrace_isr_shrinks_total 101 103) - shrinks))
elected=$(($(value millrace_controller_leader_elections_total 1) - elections))
# Of what 102 led, the new leaders begin with the smaller set.
((shrunk >= partitions - led)) || fail "$shrunk replicas left in-sync sets, of $((partitions - led)) whose leaders stayed"
((elected >= led)) || fail "$elected leaders were elected, for $led of broker 102"

cluster kill 103
await_missing $partitions 0 $partitions 101
await_without_leader 0

cluster kill 101
await_without_leader $partitions

bring_back 'the brokers'
await_missing 0 0 0 101 102 103
await_without_leader 0
await_value millrace_broker_leaders $partitions 101 102 103
expanded="$(value millrace_isr_expands_total 101 102 103)"
((expanded >= partitions)) || fail "$expanded replicas joined in-sync sets"
printf 'health_metrics_test: broker 102 led %s: %s elections, %s left in-sync sets; at the end %s had joined\n' \
  "$led" "$elected" "$shrunk" "$expanded"

# Name and kind of what a cluster serves, and of what is documented.
sed -nE 's/^\| `([a-z_]+)` \| (counter|gauge|histogram).*/\1 \2/p' "$PWD/docs/metrics.md" | sort -u >"$work/documented"
# What only nodes with others serve; the rest is held to the same by metrics_table_test.
grep -E '^(millrace_raft_|millrace_quorum_follower_|millrace_replication_follower_lag_)' "$work/documented" >"$work/between" ||
  fail 'no metrics between nodes'
# Some are looked at once a second.
all_are_served() {
  local node
  for node in 1 2 3 101 102 103; do metrics_of "$node"; done | sed -n 's/^# TYPE //p' | sort -u >"$work/served"
  ! comm -23 "$work/between" "$work/served" | grep .
}
await 30 'in docs/metrics.md, and not served' all_are_served
comm -23 "$work/served" "$work/documented" >"$work/untold"
[[ ! -s "$work/untold" ]] || fail "served, and not in docs/metrics.md: $(xargs <"$work/untold")"
