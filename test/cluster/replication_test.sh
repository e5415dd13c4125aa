#!/usr/bin/env bash
# Three controllers and three brokers as real processes, a topic on all three brokers: what was acknowledged is read
# again after the leader was killed, after it came back, and byte for byte on every disk.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3

ask_options=(--timeout 60)
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
    sleep 0.1
  done
}
readonly all_in_sync='all(sorted(p["isr"]) == [101, 102, 103] for p in ps)'

ask topic create t --partitions 3 --replication-factor 3 --config min.insync.replicas=2 >/dev/null
seq 1 2000 | ask produce t --acks all >/dev/null || fail 'acks=all is not acknowledged by three'
await_topic 'not all are in sync' "$all_in_sync" 20

# The leader of a partition is killed: what was acknowledged stays, and more is taken.
leader="$(topic 'ps[0]["leader"]')"
cluster kill "$leader" 2>/dev/null
killed=$(now_ms)
seq 2001 4000 | ask produce t --acks all >/dev/null || fail "nothing is acknowledged without broker $leader"
printf 'replication_test: acknowledged again %s ms after broker %s was killed\n' "$(($(now_ms) - killed))" "$leader"
ask consume t --from-beginning --until-end | sort -n >"$work/read"
diff <(seq 1 4000) "$work/read" >/dev/null || fail 'what was acknowledged is not read, once'

# It comes back, and catches up.
cluster start >/dev/null 2>"$work/start.log" || fail "broker $leader does not come back: $(cat "$work/start.log")"
await_topic "broker $leader does not come back in sync" "$all_in_sync" 60
seq 4001 5000 | ask produce t --acks all >/dev/null || fail 'acks=all is not acknowledged by three again'
ask consume t --from-beginning --until-end | sort -n >"$work/read"
diff <(seq 1 5000) "$work/read" >/dev/null || fail 'what was acknowledged is not read, once, at the end'

# All replicas are alike, as their brokers tell while they run; and a byte that one of them has wrong is made good.
verify() { ask partition verify t "$@"; }
verify >"$work/verified" || fail "the replicas are not alike: $(cat "$work/verified")"
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
deadline=$(($(now_ms) + 30000))
until verify >"$work/verified" 2>&1 && grep -q 'a damaged log was repaired' "$data/node-102/log"; do
  (($(now_ms) < deadline)) || fail "what was damaged is not repaired: $(cat "$work/verified")"
  sleep 0.1
done
await_topic 'not all are in sync after the repair' "$all_in_sync" 60

# All brokers are killed at once. Those of a replicated topic may have lost its end, so that none may lead by right: the
# greatest copy does (S-32). What the kernel had is still there.
ask topic create r --partitions 3 --replication-factor 3 --config durability=replicated >/dev/null
seq 1 1000 | ask produce r --acks all >/dev/null || fail 'acks=all is not acknowledged by three, replicated'
for node in 101 102 103; do cluster kill "$node" 2>/dev/null; done
cluster start >/dev/null 2>"$work/start.log" || fail "the brokers do not come back: $(cat "$work/start.log")"
ask consume r --from-beginning --count 1000 | sort -n >"$work/read"
diff <(seq 1 1000) "$work/read" >/dev/null || fail 'a replicated topic has lost records that were written, or has them twice'
await_topic 'not all are in sync after all were killed' "$all_in_sync" 60

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
