#!/usr/bin/env bash
# Three controllers and three brokers as real processes, a topic on all three brokers: what was acknowledged is read
# again after the leader was killed, after it came back, and byte for byte on every disk.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3

ask_options=(--timeout 60)

ask topic create t --partitions 3 --replication-factor 3 --config min.insync.replicas=2 >/dev/null
seq 1 2000 | ask produce t --acks all >/dev/null || fail 'acks=all is not acknowledged by three'
await 20 'not all are in sync' in_sync t

# The leader of a partition is killed: what was acknowledged stays, and more is taken.
leader="$(topic t 'p["leader"]')"
cluster kill "$leader"
killed=$(now_ms)
seq 2001 4000 | ask produce t --acks all >/dev/null || fail "nothing is acknowledged without broker $leader"
printf 'replication_test: acknowledged again %s ms after broker %s was killed\n' "$(($(now_ms) - killed))" "$leader"
ask consume t --from-beginning --until-end | sort -n >"$work/read"
diff <(seq 1 4000) "$work/read" >/dev/null || fail 'what was acknowledged is not read, once'

# It comes back, and catches up.
bring_back "broker $leader"
await 60 "broker $leader does not come back in sync" in_sync t
seq 4001 5000 | ask produce t --acks all >/dev/null || fail 'acks=all is not acknowledged by three again'
ask consume t --from-beginning --until-end | sort -n >"$work/read"
diff <(seq 1 5000) "$work/read" >/dev/null || fail 'what was acknowledged is not read, once, at the end'

# All replicas are alike, as their brokers tell while they run; and a byte that one of them has wrong is made good.
ask partition verify t >"$work/verified" || fail "the replicas are not alike: $(cat "$work/verified")"
[[ "$(grep -c ' equal' "$work/verified")" == 3 ]] || fail "not all partitions were verified: $(cat "$work/verified")"
for damaged in 2 1 0; do
  file="$data/node-102/data/logs/t-$damaged/00000000000000000000.log"
  if [[ -s "$file" ]]; then break; fi
done
[[ -s "$file" ]] || fail 'broker 102 holds nothing to damage'
patch_byte() { printf "$1" | dd of="$file" bs=1 seek=80 conv=notrunc status=none; }
was="$(dd if="$file" bs=1 skip=80 count=1 status=none | od -An -tu1 | xargs)"
patch_byte "\\$(printf '%03o' $(((was + 1) % 256)))"
# To look for damage is to have it repaired, from another replica: the look itself may see it before or after that.
repaired() { ask partition verify t && grep -q 'a damaged log was repaired' "$data/node-102/log"; }
await 30 'what was damaged is not repaired' repaired
await 60 'not all are in sync after the repair' in_sync t

# All brokers are killed at once. Those of a replicated topic may have lost its end, so that none may lead by right: the
# greatest copy does (S-32). What the kernel had is still there.
ask topic create r --partitions 3 --replication-factor 3 --config durability=replicated >/dev/null
seq 1 1000 | ask produce r --acks all >/dev/null || fail 'acks=all is not acknowledged by three, replicated'
for node in 101 102 103; do cluster kill "$node"; done
bring_back 'the brokers'
ask consume r --from-beginning --count 1000 | sort -n >"$work/read"
diff <(seq 1 1000) "$work/read" >/dev/null || fail 'a replicated topic has lost records that were written, or has them twice'
await 60 'not all are in sync after all were killed' in_sync t

cluster stop || fail 'the nodes do not stop cleanly'
# A partition that took no record has no segment anywhere.
shopt -s nullglob
for partition in 0 1 2; do
  for node in 102 103; do
    cmp <(cat /dev/null "$data"/node-101/data/logs/t-$partition/*.log) \
      <(cat /dev/null "$data"/node-$node/data/logs/t-$partition/*.log) ||
      fail "brokers 101 and $node hold different records of partition $partition"
  done
done
