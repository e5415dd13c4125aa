#!/usr/bin/env bash
# Three controllers and three brokers as real processes, each broker in a rack of its own. A consumer that names its rack
# is served by the follower there (KIP-392), and by the leader again when that follower is killed: no record is missing,
# none comes twice.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/one_partition.sh"

consumer=''
before_clean_up() { [[ -z "$consumer" ]] || kill -9 "$consumer" 2>/dev/null || true; }

start_cluster --controllers 3 --brokers 3
# Started again one at a time, to have racks.
for n in 101 102 103; do
  cluster stop "$n" 2>"$work/stop.log" || fail "broker $n does not stop: $(cat "$work/stop.log")"
  MILLRACE_BROKER_RACK="rack-$n" cluster start >/dev/null 2>"$work/start.log" ||
    fail "broker $n does not come back: $(cat "$work/start.log")"
done
ask_options=(--timeout 60)

# Bytes that a broker has served to readers.
served_by() { metric "$1" millrace_broker_fetch_bytes_total; } # NODE

# Records of `t` that a follower lacks, as a broker tells that leads.
lag_told_by() { # NODE FOLLOWER
  local port="${bootstrap%%,*}"
  port=$((${port##*:} + 200 + $1 - 101))
  /usr/bin/python3 - "$port" "$2" <<'PYTHON'
import sys, urllib.request
text = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=10).read().decode()
start = f'millrace_replication_follower_lag_records{{follower="{sys.argv[2]}"}} '
print(next((int(float(l.split()[-1])) for l in text.splitlines() if l.startswith(start)), 'none'))
PYTHON
}
lag_is() { [[ "$(lag_told_by "$1" "$2")" == "$3" ]]; } # NODE FOLLOWER RECORDS

ask topic create t --partitions 1 --replication-factor 3 >/dev/null
leader="$(topic 'p["leader"]')"
near="$(topic 'next(r for r in p["replicas"] if r != p["leader"])')"
seq 1 1000 | ask produce t --acks all >/dev/null
await 'all are in sync' 20 holds 'len(p["isr"]) == 3'

"$millrace" consume t --from-beginning --follow --rack "rack-$near" --bootstrap "$bootstrap" >"$work/read" 2>"$work/read.err" &
consumer=$!
await 'what was there is read' 20 has_lines "$work/read" 1000
# From now on it is the near replica that serves.
before_leader="$(served_by "$leader")"
before_near="$(served_by "$near")"
seq 1001 3000 | ask produce t --acks all >/dev/null
await 'what comes is read' 20 has_lines "$work/read" 3000
((before_leader == $(served_by "$leader"))) || fail "the leader, broker $leader, has served it"
(($(served_by "$near") > before_near)) || fail "broker $near, in the consumer's rack, has not served it"
await 'no follower lacks anything' 10 lag_is "$leader" "$near" 0

# The near replica is gone: the leader serves at once, long before the in-sync set is changed.
cluster kill "$near" 2>/dev/null
killed=$(now_ms)
seq 3001 4000 | ask produce t --acks leader >/dev/null
await 'the leader serves' 20 has_lines "$work/read" 4000
printf 'near_replica_test: read from the leader again %s ms after broker %s was killed\n' "$(($(now_ms) - killed))" "$near"
await 'the leader tells what the killed one lacks' 10 lag_is "$leader" "$near" 1000
diff <(seq 1 4000) "$work/read" >/dev/null || fail 'records are missing, or come twice'
kill -TERM "$consumer"
wait "$consumer" || fail "the consumer failed: $(cat "$work/read.err")"
consumer=''
