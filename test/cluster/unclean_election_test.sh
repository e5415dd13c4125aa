#!/usr/bin/env bash
# Three controllers and three brokers as real processes. A leader is lost together with records that it alone had, and the
# other replica is elected by command. Consumers that have read these records are told so, with the offset where the logs
# part, though the new log has grown past their position: one that runs, and one that goes on from its position file.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/one_partition.sh"

consumer=''
before_clean_up() { [[ -z "$consumer" ]] || kill -9 "$consumer" 2>/dev/null || true; }

start_cluster --controllers 3 --brokers 3
ask_options=(--timeout 60)

ask topic create t --partitions 1 --replication-factor 2 --config min.insync.replicas=1 >/dev/null
leader="$(topic 'p["leader"]')"
follower="$(topic 'next(r for r in p["replicas"] if r != p["leader"])')"
seq 1 10 | ask produce t --acks all >/dev/null || fail 'nothing is acknowledged'
await 'both are in sync' 20 holds 'len(p["isr"]) == 2'

# From here on the leader alone has what is acknowledged, as min.insync.replicas=1 allows.
cluster kill "$follower" 2>/dev/null
await "broker $follower is out of sync" 20 holds "p['isr'] == [$leader]"
seq 11 20 | ask produce t --acks all >/dev/null || fail 'nothing is acknowledged by the leader alone'
"$millrace" consume t --from-beginning --follow --bootstrap "$bootstrap" >"$work/followed" 2>"$work/followed.err" &
consumer=$!
await 'a consumer reads all' 20 has_lines "$work/followed" 20
ask consume t --state "$work/position" >"$work/read"
diff <(seq 1 20) "$work/read" >/dev/null || fail 'not all is read'

# The leader is gone, and the other one, which lacks the last ten, is elected by command.
cluster kill "$leader" 2>/dev/null
server="$data/node-$follower"
"$millrace" server --config "$server/server.yaml" --data-dir "$server/data" >>"$server/log" 2>&1 </dev/null &
printf '%s\n' "$!" >"$server/pid"
disown
elected() {
  ask partition elect t:0 --unclean >>"$work/elected" 2>&1 || return 1
  holds "p['leader'] == $follower"
}
await "broker $follower is elected" 40 elected

# The last member was not gone for good, only dead: that it alone had everything is said where people look for it.
grep -q '1 partition(s) have a leader that was not sure to hold all' "$work/elected" ||
  fail "the command does not say what it did: $(cat "$work/elected")"
readonly line="may lack acknowledged records (S-32)\" topic=t partition=0 leader=$follower leader_epoch=[0-9]* .*elr_before=$leader"
counted_and_logged() { # CONTROLLER
  [[ "$(metric "$1" millrace_controller_unclean_elections_total)" == 1 ]] && grep -q "$line" "$data/node-$1/log"
}
for controller in 1 2 3; do
  await "controller $controller counts and logs the election" 10 counted_and_logged "$controller"
done
seq 101 140 | ask produce t --acks all >/dev/null || fail 'the new leader takes nothing'

readonly truncated='t-0: the log was truncated by an unclean election: the position is 20, and records from offset 10 on'
status=0
wait "$consumer" || status=$?
consumer=''
((status == 1)) && grep -q "$truncated" "$work/followed.err" ||
  fail "the consumer that follows ended with $status: $(cat "$work/followed.err")"
has_lines "$work/followed" 20 || fail "it printed other records: $(cat "$work/followed")"
if ask consume t --state "$work/position" >"$work/read" 2>"$work/state.err"; then
  fail "what is gone is not noticed: $(cat "$work/read")"
fi
grep -q "$truncated" "$work/state.err" || fail "it is told otherwise: $(cat "$work/state.err")"

# As the message says: then it goes on with what is there now.
grep -q 'set next_offsets of the partition to 10 and remove its entry of leader_epochs' "$work/state.err" ||
  fail "no way on: $(cat "$work/state.err")"
sed -i -e 's/"next_offsets":{"0":20}/"next_offsets":{"0":10}/' -e 's/"leader_epochs":{"0":[0-9]*}/"leader_epochs":{}/' \
  "$work/position"
ask consume t --state "$work/position" >"$work/read"
diff <(seq 101 140) "$work/read" >/dev/null || fail "it goes on with other records: $(cat "$work/read")"

# The former leader comes back, cuts what nobody else has, and is alike again.
cluster start >/dev/null 2>"$work/start.log" || fail "broker $leader does not come back: $(cat "$work/start.log")"
await 'both are in sync again' 60 holds 'len(p["isr"]) == 2'
ask partition verify t >"$work/verified" || fail "the replicas are not alike: $(cat "$work/verified")"
