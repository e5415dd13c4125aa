#!/usr/bin/env bash
# Three controllers and three brokers as real processes. A leader is lost together with records that it alone had, and the
# other replica is elected by command. Consumers that have read these records are told so, with the offset where the logs
# part, though the new log has grown past their position: one that runs, and one that goes on from its position file.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3
ask_options=(--timeout 60)

ask topic create t --partitions 1 --replication-factor 2 --config min.insync.replicas=1 >/dev/null
leader="$(topic t 'p["leader"]')"
follower="$(topic t 'next(r for r in p["replicas"] if r != p["leader"])')"
seq 1 10 | ask produce t --acks all >/dev/null || fail 'nothing is acknowledged'
await 20 'not both are in sync' in_sync t 2

# From here on the leader alone has what is acknowledged, as min.insync.replicas=1 allows.
cluster kill "$follower"
await 20 "broker $follower is still in sync" topic_holds t "p['isr'] == [$leader]"
seq 11 20 | ask produce t --acks all >/dev/null || fail 'nothing is acknowledged by the leader alone'
"$millrace" consume t --from-beginning --follow --bootstrap "$bootstrap" >"$work/followed" 2>"$work/followed.err" &
consumer=$!
await 20 'a consumer does not read all' has_lines "$work/followed" 20
ask consume t --state "$work/position" >"$work/read"
diff <(seq 1 20) "$work/read" >/dev/null || fail 'not all is read'

# The leader is gone, and the other one, which lacks the last ten, is elected by command.
cluster kill "$leader"
start_node "$follower"
elected() {
  ask partition elect t:0 --unclean >>"$work/elected" 2>&1 || return 1
  topic_holds t "p['leader'] == $follower"
}
await 40 "broker $follower is not elected" elected

# The last member was not gone for good, only dead: that it alone had everything is said where people look for it.
grep -q '1 partition(s) have a leader that was not sure to hold all' "$work/elected" ||
  fail "the command does not say what it did: $(cat "$work/elected")"
readonly line="may lack acknowledged records (S-32)\" topic=t partition=0 leader=$follower leader_epoch=[0-9]* .*elr_before=$leader"
counted_and_logged() { # CONTROLLER
  says 1 metric "$1" millrace_controller_unclean_elections_total && grep -q "$line" "$data/node-$1/log"
}
for controller in 1 2 3; do
  await 10 "controller $controller does not count and log the election" counted_and_logged "$controller"
done
seq 101 140 | ask produce t --acks all >/dev/null || fail 'the new leader takes nothing'

readonly truncated='t-0: the log was truncated by an unclean election: the position is 20, and records from offset 10 on'
status=0
wait "$consumer" || status=$?
((status == 1)) && grep -q "$truncated" "$work/followed.err" ||
  fail "the consumer that follows ended with $status: $(cat "$work/followed.err")"
has_lines "$work/followed" 20 || fail "it printed other records: $(cat "$work/followed")"
refused "$truncated" ask consume t --state "$work/position"

# As the message says: then it goes on with what is there now.
grep -q 'set next_offsets of the partition to 10 and remove its entry of leader_epochs' "$work/refused" ||
  fail "no way on: $(cat "$work/refused")"
sed -i -e 's/"next_offsets":{"0":20}/"next_offsets":{"0":10}/' -e 's/"leader_epochs":{"0":[0-9]*}/"leader_epochs":{}/' \
  "$work/position"
ask consume t --state "$work/position" >"$work/read"
diff <(seq 101 140) "$work/read" >/dev/null || fail "it goes on with other records: $(cat "$work/read")"

# The former leader comes back, cuts what nobody else has, and is alike again.
bring_back "broker $leader"
await 60 'not both are in sync again' in_sync t 2
ask partition verify t >"$work/verified" || fail "the replicas are not alike: $(cat "$work/verified")"
