#!/usr/bin/env bash
# Three controllers and three brokers as real processes: what was said to be deleted comes back with no leader (KIP-107). While
# the followers stand still a deletion is not said to be done; when it is, the leader is killed at once, and whoever leads then
# begins where it was told. Six times.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/one_partition.sh"

before_clean_up() {
  for n in 101 102 103; do cluster resume "$n" >/dev/null 2>&1 || true; done
}

# What the partition's first record says: its offset.
first_record() { ask consume t --from-beginning --count 1 --partition 0 2>/dev/null; }
delete_before() { ask partition delete-records t:0 --before "$1"; }

start_cluster --controllers 3 --brokers 3
ask topic create t --partitions 1 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 'not all are in sync at first' 30 holds 'len(p["isr"]) == 3'
seq 0 999 | ask produce t --acks all >/dev/null || fail 'nothing can be produced'

read -r leader followers <<<"$(topic '" ".join(str(n) for n in [p["leader"]] + [r for r in p["replicas"] if r != p["leader"]])')"
for n in $followers; do cluster pause "$n" 2>/dev/null; done
IFS=, read -ra addresses <<<"$bootstrap"
if "$millrace" partition delete-records t:0 --before 100 --bootstrap "${addresses[leader - 101]}" --timeout 2 >/dev/null 2>"$work/refused"; then
  fail 'deleted, though nobody else has heard of it'
fi
grep -q 'not by all replicas yet' "$work/refused" || fail "refused for another reason: $(cat "$work/refused")"
for n in $followers; do cluster resume "$n" 2>/dev/null; done
await 'the followers do not come back' 30 holds 'len(p["isr"]) == 3'

for round in 1 2 3 4 5 6; do
  before=$((round * 100))
  leader="$(topic 'p["leader"]')"
  delete_before "$before" >/dev/null 2>"$work/deleted" || fail "round $round: $(cat "$work/deleted")"
  cluster kill "$leader" 2>/dev/null
  await "killed broker $leader still leads" 30 holds "p['leader'] not in ($leader, -1)"
  first="$(first_record)" || fail "round $round: nothing can be read"
  [[ "$first" == "$before" ]] || fail "round $round: all before $before was deleted, and $first is there"
  cluster start >/dev/null 2>"$work/start.log" || fail "broker $leader does not come back: $(cat "$work/start.log")"
  await 'not all are in sync again' 60 holds 'len(p["isr"]) == 3'
done
if delete_before 5000 >/dev/null 2>"$work/refused"; then fail 'deleted beyond the high watermark'; fi
grep -q OFFSET_OUT_OF_RANGE "$work/refused" || fail "refused for another reason: $(cat "$work/refused")"
