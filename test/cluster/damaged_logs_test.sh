#!/usr/bin/env bash
# Bits rot in the logs of real brokers: of a follower, found on demand; of the leader, found by the scrub in the
# background; of all three in different places, found by a consumer. What is damaged is never served, and is had again from
# the other replicas, while records are produced and consumed (S-22, S-35).
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3

ask_options=(--timeout 60)
# Where the first segment of a broker's replica is, and its bytes as they should be.
segment() { printf '%s' "$data/node-$1/data/logs/t-0/00000000000000000000.log"; }
is_whole() { cmp "$work/healthy" "$(segment "$1")"; }
# One bit, this many bytes into it.
damage() { # BROKER POSITION
  /usr/bin/python3 - "$(segment "$1")" "$2" <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 4]))
PYTHON
  ! is_whole "$1" >/dev/null || fail "nothing was damaged on broker $1"
}
# All that was produced is read, in order, once.
reads_all() { diff <(seq 1 "$1") <(ask consume t --from-beginning --until-end); }

ask topic create t --partitions 1 --replication-factor 3 --config min.insync.replicas=2 \
  --config segment.bytes=1048576 --config index.interval.bytes=1024 >/dev/null
seq 1 400000 | ask produce t --acks all >/dev/null || fail 'acks=all is not acknowledged by three'
await 20 'not all are in sync' in_sync t
leader="$(topic t 'p["leader"]')"
followers=($(topic t '" ".join(str(r) for r in p["isr"] if r != p["leader"])'))
cp "$(segment "$leader")" "$work/healthy"
for follower in "${followers[@]}"; do
  cmp -n 100000 "$work/healthy" "$(segment "$follower")" || fail "broker $follower has other bytes"
done
(($(ls "$(dirname "$(segment "$leader")")" | grep -c '\.log$') > 1)) || fail 'there is one segment only'

# A follower, on demand.
follower="${followers[0]}"
cp "$(segment "$follower")" "$work/healthy"
damage "$follower" 5000
ask log scrub t >"$work/scrubbed" 2>"$work/scrub.err" && fail "damage is not found: $(cat "$work/scrubbed")"
grep -q "^$follower " "$work/scrubbed" || fail "damage is told otherwise: $(cat "$work/scrubbed")"
await 30 "broker $follower is not repaired" is_whole "$follower"
grep -q 'a damaged log was repaired' "$data/node-$follower/log" || fail 'the log does not tell of the repair'
await 30 'not all are in sync after a repair' in_sync t
ask log scrub t >"$work/scrubbed" || fail "damage is left: $(cat "$work/scrubbed")"
ask partition verify t >"$work/verified" || fail "the replicas are not alike: $(cat "$work/verified")"

# The leader, by the scrub.
leader="$(topic t 'p["leader"]')"
cp "$(segment "$leader")" "$work/healthy"
damage "$leader" 20000
damage "$leader" 90000
ask config alter brokers --set log.scrub.interval.ms=1000 >/dev/null || fail 'the scrub cannot be configured'
await 60 "broker $leader is not repaired" is_whole "$leader"
await 30 'not all are in sync after the second repair' in_sync t
[[ "$(topic t 'p["leader"]')" != "$leader" ]] || fail "broker $leader led on with a damaged log"
seq 400001 410000 | ask produce t --acks all >/dev/null || fail 'acks=all is not acknowledged after a repair'
ask partition verify t >"$work/verified" || fail "the replicas are not alike: $(cat "$work/verified")"

# All of them, each elsewhere; found by whoever reads. What the brokers have in memory must not hide it.
ask config alter brokers --set log.scrub.interval.ms=-1 >/dev/null
for node in 101 102 103; do cp "$(segment "$node")" "$work/healthy-$node"; done
cluster stop || fail 'the nodes do not stop cleanly'
for node in 101 102 103; do
  cp "$work/healthy-$node" "$work/healthy"
  damage "$node" $(((node - 100) * 50000))
done
bring_back 'the nodes'
await 60 'a consumer does not get what was damaged' reads_all 410000
ask log scrub t >/dev/null 2>&1 || true
for node in 101 102 103; do
  cp "$work/healthy-$node" "$work/healthy"
  await 60 "broker $node is not repaired" is_whole "$node"
done
await 60 'not all are in sync at the end' in_sync t
ask partition verify t >"$work/verified" || fail "the replicas are not alike: $(cat "$work/verified")"
seq 410001 410010 | ask produce t --acks all >/dev/null || fail 'acks=all is not acknowledged at the end'
reads_all 410010 >/dev/null || fail 'records are missing'
printf 'damaged_logs_test: %s repairs\n' \
  "$(cat "$data"/node-10?/log | grep -c 'a damaged log was repaired')"
