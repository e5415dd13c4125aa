#!/usr/bin/env bash
# Three controllers and three brokers as real processes, each broker in a rack of its own. A consumer that names its rack
# is served by the follower there (KIP-392), and by the leader again when that follower is killed: no record is missing,
# none comes twice.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3
# Started again one at a time, to have racks.
for n in 101 102 103; do
  cluster stop "$n" || fail "broker $n does not stop"
  MILLRACE_BROKER_RACK="rack-$n" bring_back "broker $n"
done
ask_options=(--timeout 60)

# Bytes that a broker has served to readers.
served_by() { metric "$1" millrace_broker_fetch_bytes_total; } # NODE

# Records that a follower lacks, as a broker tells that leads.
lag() { metric "$1" "millrace_replication_follower_lag_records{follower=\"$2\"}"; } # NODE FOLLOWER

ask topic create t --partitions 1 --replication-factor 3 >/dev/null
leader="$(topic t 'p["leader"]')"
near="$(topic t 'next(r for r in p["replicas"] if r != p["leader"])')"
seq 1 1000 | ask produce t --acks all >/dev/null
await 20 'not all are in sync' in_sync t

"$millrace" consume t --from-beginning --follow --rack "rack-$near" --bootstrap "$bootstrap" >"$work/read" 2>"$work/read.err" &
consumer=$!
await 20 'what was there is not read' has_lines "$work/read" 1000
# From now on it is the near replica that serves.
before_leader="$(served_by "$leader")"
before_near="$(served_by "$near")"
seq 1001 3000 | ask produce t --acks all >/dev/null
await 20 'what comes is not read' has_lines "$work/read" 3000
((before_leader == $(served_by "$leader"))) || fail "the leader, broker $leader, has served it"
(($(served_by "$near") > before_near)) || fail "broker $near, in the consumer's rack, has not served it"
await 10 'a follower lacks something' says 0 lag "$leader" "$near"

# The near replica is gone: the leader serves at once, long before the in-sync set is changed.
cluster kill "$near"
killed=$(now_ms)
seq 3001 4000 | ask produce t --acks leader >/dev/null
await 20 'the leader does not serve' has_lines "$work/read" 4000
printf 'near_replica_test: read from the leader again %s ms after broker %s was killed\n' "$(($(now_ms) - killed))" "$near"
await 10 'the leader does not tell what the killed one lacks' says 1000 lag "$leader" "$near"
diff <(seq 1 4000) "$work/read" >/dev/null || fail 'records are missing, or come twice'
kill -TERM "$consumer"
wait "$consumer" || fail "the consumer failed: $(cat "$work/read.err")"
