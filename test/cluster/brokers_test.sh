#!/usr/bin/env bash
# Three controllers and three brokers as real processes: topics are placed on all of them and led by all of them; a
# broker that is killed leads nothing any more within a second, and one that is started again is back in service; a
# clean stop hands over first.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3

# Over all controllers: those that are not active say 0.
of_controllers() { # METRIC
  local node sum=0
  for node in 1 2 3; do sum=$((sum + $(metric "$node" "$1"))); done
  printf '%s\n' "$sum"
}
counts() {
  local name
  for name in active_controller_count active_broker_count fenced_broker_count; do of_controllers "millrace_$name"; done | xargs
}
await_counts() { # ACTIVE_BROKERS FENCED_BROKERS
  await 10 "active controllers, active and fenced brokers are not 1 $1 $2" says "1 $1 $2" counts
}
await_counts 3 0
for broker in 101 102 103; do
  [[ "$(metric "$broker" millrace_broker_state)" == 3 ]] || fail "broker $broker does not say that it runs"
done

# A broker passes on what is for the controllers.
ask topic create t --partitions 6 --replication-factor 3 >/dev/null
readonly led="{p['leader'] for p in ps}"
topic_holds t "$led == {101, 102, 103}" || fail 'not all lead'

cluster kill 102
killed=$(now_ms)
await 10 'broker 102 is dead and leads' others_lead t 102
took=$(($(now_ms) - killed))
await_counts 2 1
printf 'brokers_test: the leaderships of a killed broker moved within %s ms\n' "$took"

bring_back 'broker 102'
ask topic create u --partitions 6 --replication-factor 3 >/dev/null || fail 'broker 102 is not in service'
await_counts 3 0

# The active controller is killed: brokers find the next one, and are not fenced.
leader="$(quorum_leader)"
cluster kill "$leader"
ask topic create v --partitions 6 --replication-factor 3 >/dev/null || fail 'no controller took over'
if grep -l 'state=fenced' "$data"/node-101/log | grep -q . && grep -c 'state=active' "$data/node-101/log" | grep -qx 0; then
  fail 'a broker was lost with the controller'
fi
bring_back "controller $leader"

# A clean stop hands over first, and leaves the directories clean.
cluster stop || fail 'the nodes do not stop cleanly'
for n in 101 102 103; do
  [[ -e "$data/node-$n/data/logs/clean-shutdown" ]] || fail "broker $n did not close its logs"
done
