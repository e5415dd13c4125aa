#!/usr/bin/env bash
# Three controllers and three brokers as real processes: topics are placed on all of them and led by all of them; a
# broker that is killed leads nothing any more within a second, and one that is started again is back in service; a
# clean stop hands over first.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3

# Prints what an expression over the description of the topic says.
topic() { # EXPRESSION
  ask topic describe t -o json |
    /usr/bin/python3 -c "import json, sys; d = json.load(sys.stdin); ps = d['topics'][0]['partitions']; print($1)"
}
now_ms() { date +%s%3N; }
# Waits until an expression over the description of the topic holds.
await_topic() { # WHAT EXPRESSION SECONDS
  local deadline=$(($(now_ms) + $3 * 1000))
  until [[ "$(topic "$2")" == True ]]; do
    (($(now_ms) < deadline)) || fail "$1: $(ask topic describe t -o json)"
    sleep 0.05
  done
}

# Over all controllers: those that are not active say 0.
of_controllers() { # METRIC
  local node sum=0
  for node in 1 2 3; do sum=$((sum + $(metric "$node" "$1"))); done
  printf '%s' "$sum"
}
await_metrics() { # ACTIVE_BROKERS FENCED_BROKERS
  local deadline=$(($(now_ms) + 10000)) seen
  while true; do
    seen="$(of_controllers millrace_active_controller_count) $(of_controllers millrace_active_broker_count)"
    seen+=" $(of_controllers millrace_fenced_broker_count)"
    [[ "$seen" != "1 $1 $2" ]] || return 0
    (($(now_ms) < deadline)) || fail "active controllers, active and fenced brokers: $seen, not 1 $1 $2"
    sleep 0.05
  done
}
await_metrics 3 0
for broker in 101 102 103; do
  [[ "$(metric "$broker" millrace_broker_state)" == 3 ]] || fail "broker $broker does not say that it runs"
done

# A broker passes on what is for the controllers.
ask topic create t --partitions 6 --replication-factor 3 >/dev/null
readonly led="{p['leader'] for p in ps}"
[[ "$(topic "$led == {101, 102, 103}")" == True ]] || fail "not all lead: $(ask topic describe t)"

cluster kill 102 2>/dev/null
killed=$(now_ms)
await_topic 'broker 102 is dead and leads' "102 not in $led and -1 not in $led" 10
took=$(($(now_ms) - killed))
await_metrics 2 1
printf 'brokers_test: the leaderships of a killed broker moved within %s ms\n' "$took"

cluster start >/dev/null 2>"$work/start.log" || fail "broker 102 does not come back: $(cat "$work/start.log")"
ask topic create u --partitions 6 --replication-factor 3 >/dev/null || fail 'broker 102 is not in service'
await_metrics 3 0

# The active controller is killed: brokers find the next one, and are not fenced.
leader="$(ask quorum describe -o json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["leader"])')"
cluster kill "$leader" 2>/dev/null
ask topic create v --partitions 6 --replication-factor 3 >/dev/null || fail 'no controller took over'
if grep -l 'state=fenced' "$data"/node-101/log | grep -q . && grep -c 'state=active' "$data/node-101/log" | grep -qx 0; then
  fail 'a broker was lost with the controller'
fi
cluster start >/dev/null 2>"$work/start.log" || fail "controller $leader does not come back: $(cat "$work/start.log")"

# A clean stop hands over first, and leaves the directories clean.
cluster stop || fail 'the nodes do not stop cleanly'
for n in 101 102 103; do
  [[ -e "$data/node-$n/data/logs/clean-shutdown" ]] || fail "broker $n did not close its logs"
done
