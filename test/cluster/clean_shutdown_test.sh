#!/usr/bin/env bash
# Three controllers and three brokers as real processes, under steady load with acks=all: three times a leader is stopped by
# SIGTERM, and comes back. No record fails at a producer, though it tries for a few seconds only. One that never tries again
# is told of what was under way, and of what came too late; nobody is left waiting. Every acknowledged record is there at the end,
# once, at its offset and in order, and the replicas are equal.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"

start_cluster --controllers 3 --brokers 3

for name in events once; do
  ask topic create "$name" --partitions 6 --replication-factor 3 >/dev/null || fail 'a topic cannot be created'
done
await 90 'not all replicas are in sync at first' in_sync events

start_load events 500 --delivery-timeout-ms 5000
start_load once 500 --once
for round in 1 2 3; do
  victim="$(topic events "ps[$round]['leader']")"
  cluster stop "$victim" || fail "broker $victim does not stop cleanly"
  await 90 "stopped broker $victim still leads" others_lead events "$victim"
  bring_back "broker $victim"
  await 90 "after the stop of $victim not all replicas are in sync again" in_sync events
  load_goes_on events
  load_goes_on once
done
end_load events
end_load once
/usr/bin/python3 - "$work/events.report" "$work/once.report" <<'PYTHON' || fail "records failed at the producer"
import json, sys
events, once = (json.load(open(path)) for path in sys.argv[1:])
told = {"NOT_LEADER_OR_FOLLOWER", "OUTCOME_UNKNOWN", "SHUTTING_DOWN"}
sys.exit(events["failed"] != {} or events["acknowledged"] != events["sent"] or not told.issuperset(once["failed"]))
PYTHON
replicas_are_equal events 6
replicas_are_equal once 6
