#!/usr/bin/env bash
# Three controllers and three brokers as real processes, a topic on all three brokers: what was acknowledged is read
# again after the leader was killed, after it came back, and byte for byte on every disk.
set -euo pipefail

readonly cluster_script="$PWD/tools/local_cluster.sh"
readonly millrace="${MILLRACE:-$PWD/tools/millrace/millrace}"
readonly work="$(mktemp -d "${TEST_TMPDIR:-/tmp}/replication_test.XXXXXX")"
readonly data="$work/cluster"

cluster() { "$cluster_script" "$@" --data-dir "$data"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  tail -n 30 "$data"/node-10?/log >&2 || true
  exit 1
}
clean_up() {
  cluster stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

# Ports that others may have taken meanwhile: another range then.
bootstrap=''
for attempt in 1 2 3; do
  base=$((20000 + (RANDOM % 400) * 100))
  if bootstrap="$(cluster start --controllers 3 --brokers 3 --base-port "$base" --millrace "$millrace" \
    2>"$work/start.log")"; then break; fi
  cluster stop >/dev/null 2>&1 || true
  rm -rf "$data"
  bootstrap=''
done
[[ -n "$bootstrap" ]] || fail "the cluster does not start: $(cat "$work/start.log")"

ask() { "$millrace" "$@" --timeout 60 --bootstrap "$bootstrap"; }
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
ask consume t --from-beginning --until-end | sort -n | uniq >"$work/read"
diff <(seq 1 4000) "$work/read" >/dev/null || fail 'records that were acknowledged are not read'

# It comes back, and catches up.
cluster start >/dev/null 2>"$work/start.log" || fail "broker $leader does not come back: $(cat "$work/start.log")"
await_topic "broker $leader does not come back in sync" "$all_in_sync" 60
seq 4001 5000 | ask produce t --acks all >/dev/null || fail 'acks=all is not acknowledged by three again'
ask consume t --from-beginning --until-end | sort -n | uniq >"$work/read"
diff <(seq 1 5000) "$work/read" >/dev/null || fail 'records that were acknowledged are not read at the end'

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
