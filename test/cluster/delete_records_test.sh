#!/usr/bin/env bash
# Three controllers and three brokers as real processes: what was said to be deleted comes back with no leader (KIP-107). While
# the followers stand still a deletion is not said to be done; when it is, the leader is killed at once, and whoever leads then
# begins where it was told. Six times.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

# What the partition's first record says: its offset.
first_record() { ask consume t --from-beginning --count 1 --partition 0 2>/dev/null; }
delete_before() { ask partition delete-records t:0 --before "$1"; }

start_cluster --controllers 3 --brokers 3
ask topic create t --partitions 1 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 30 'not all are in sync at first' in_sync t
seq 0 999 | ask produce t --acks all >/dev/null || fail 'nothing can be produced'

read -r leader followers <<<"$(topic t '" ".join(str(n) for n in [p["leader"]] + [r for r in p["replicas"] if r != p["leader"]])')"
for n in $followers; do cluster pause "$n"; done
IFS=, read -ra addresses <<<"$bootstrap"
# Nobody else has heard of it.
refused 'not by all replicas yet' "$millrace" partition delete-records t:0 --before 100 --timeout 2 \
  --bootstrap "${addresses[leader - 101]}"
for n in $followers; do cluster resume "$n"; done
await 30 'the followers do not come back' in_sync t

for round in 1 2 3 4 5 6; do
  before=$((round * 100))
  leader="$(topic t 'p["leader"]')"
  delete_before "$before" >/dev/null 2>"$work/deleted" || fail "round $round: $(cat "$work/deleted")"
  cluster kill "$leader"
  await 30 "killed broker $leader still leads" others_lead t "$leader"
  first="$(first_record)" || fail "round $round: nothing can be read"
  [[ "$first" == "$before" ]] || fail "round $round: all before $before was deleted, and $first is there"
  bring_back "broker $leader"
  await 60 'not all are in sync again' in_sync t
done
refused OFFSET_OUT_OF_RANGE delete_before 5000 # That is beyond the high watermark.
