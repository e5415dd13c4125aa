#!/usr/bin/env bash
# Three controllers and three brokers as real processes, under steady load with acks=all: leaders are killed, paused and
# stopped, and the active controller too. Every acknowledged record is there at the end, once, at its offset and in order;
# all replicas are back in sync and equal, byte for byte; and the longest time without an acknowledgement is told for each fault.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"

start_cluster --controllers 3 --brokers 3

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 90 'not all replicas are in sync at first' in_sync events

start_load events 1000

for fault in kill pause stop kill controller; do
  victim="$(topic events "p['leader']")"
  case "$fault" in
    kill)
      cluster kill "$victim"
      await 90 "killed broker $victim still leads" others_lead events "$victim"
      bring_back "broker $victim"
      ;;
    pause)
      cluster pause "$victim"
      await 90 "paused broker $victim still leads" others_lead events "$victim"
      cluster resume "$victim"
      ;;
    stop)
      cluster stop "$victim" || fail "broker $victim does not stop cleanly"
      await 90 "stopped broker $victim still leads" others_lead events "$victim"
      bring_back "broker $victim"
      ;;
    controller)
      victim="$(quorum_leader)"
      cluster kill "$victim"
      bring_back "controller $victim"
      ;;
  esac
  await 90 "after '$fault $victim' not all replicas are in sync again" in_sync events
  load_goes_on events
done

end_load events
replicas_are_equal events 6
