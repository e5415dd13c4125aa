#!/usr/bin/env bash
# Three controllers and three brokers as real processes: the durability of a topic is raised under steady load, while one of its
# followers stands still. As long as that one is in sync and has not said that it synced what came before, the topic is said
# to be on its way; then it is durable, and its leader may be killed. Every acknowledged record is there at the end, once.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"

start_cluster --controllers 3 --brokers 3

ask topic create t --partitions 1 --replication-factor 3 --config durability=replicated >/dev/null ||
  fail 'the topic cannot be created'
await 30 'not all are in sync at first' in_sync t

start_load t 1000
grown() {
  ask partition verify t -o json | json_holds 'any(r["end_offset"] > 0 for r in it["partitions"][0]["replicas"])'
}
await 20 'nothing is acknowledged' grown

leader="$(topic t 'p["leader"]')"
paused="$(topic t 'next(r for r in p["replicas"] if r != p["leader"])')"
cluster pause "$paused"
ask topic alter t --config durability=durable >/dev/null || fail 'the durability cannot be raised'
described() { ask topic describe t | tee "$work/described"; }
is_told() { described && grep -q 'the durability of 1 partition(s) is being raised' "$work/described"; }
await 4 'it is not said to be raised' is_told
topic_holds t 'p["raising_durability"] and len(p["isr"]) == 3' || fail 'raised at once, though one member stands still'

# It falls out of the set, which then has all on disk.
await 30 'it is being raised for ever' topic_holds t "not p['raising_durability'] and $paused not in p['isr']"
if described | grep 'is being raised'; then fail 'it is said to be raised still'; fi
cluster resume "$paused"
await 30 'the paused follower does not come back' in_sync t

cluster kill "$leader"
await 30 "killed broker $leader still leads" others_lead t "$leader"
bring_back "broker $leader"
await 60 'not all are in sync again' in_sync t

# Down, and up again with nobody in the way.
ask topic alter t --config durability=replicated >/dev/null || fail 'the durability cannot be lowered'
ask topic alter t --config durability=durable >/dev/null || fail 'the durability cannot be raised again'
await 20 'it is being raised for ever' topic_holds t 'not p["raising_durability"] and len(p["isr"]) == 3'

end_load t
replicas_are_equal t 1
