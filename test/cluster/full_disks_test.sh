#!/usr/bin/env bash
# Three controllers and three brokers, each broker's log directory on a small file system of its own, under steady load
# with acks=all: the disk of one broker fills up under its feet, without a reserve, so that writes fail in the middle of
# a batch. Produce to what it leads is refused by name; what others lead goes on without it; all of it can be read; and
# when there is room again everything goes on by itself. Every acknowledged record is there at the end, once, at its
# offset and in order, and the replicas are equal, byte for byte.
set -euo pipefail

# Mounts are made as the root of a user namespace: no rights on the machine are needed, nothing is left.
if [[ "${1:-}" != inside || $$ -ne 1 ]]; then
  if ! unshare --user --map-root-user --mount --pid --fork true 2>/dev/null; then
    printf 'SKIPPED: this machine allows no mounts in a namespace of its own\n' >&2
    # Else it would be counted as passed.
    [[ -z "${XML_OUTPUT_FILE:-}" ]] || printf '<testsuite><testcase name="full_disks_test"><skipped/></testcase></testsuite>\n' \
      >"$XML_OUTPUT_FILE"
    exit 0
  fi
  exec unshare --user --map-root-user --mount --pid --fork --kill-child --mount-proc "$0" inside
fi

readonly cluster_script="$PWD/tools/local_cluster.sh"
readonly millrace="$PWD/tools/millrace/millrace"
readonly check="$PWD/tools/bench/probe/delivery_check"
readonly work="$(mktemp -d "${TEST_TMPDIR:-/tmp}/full_disks_test.XXXXXX")"
readonly data="$work/cluster"
readonly brokers='101 102 103'
source "$PWD/test/cluster/equal_replicas.sh"

cluster() { "$cluster_script" "$@" --data-dir "$data"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  tail -n 25 "$data"/node-10?/log "$work"/check.err >&2 || true
  df "$data"/node-10?/data/logs >&2 || true
  exit 1
}
clean_up() {
  # All there is in this process namespace but this script.
  kill -KILL -1 2>/dev/null || true
  sleep 0.1
  for node in $brokers; do umount -l "$data/node-$node/data/logs" 2>/dev/null || true; done
  rm -rf "$work"
}
trap clean_up EXIT

logs_of() { printf '%s' "$data/node-$1/data/logs"; }
for node in $brokers; do
  mkdir -p "$(logs_of "$node")"
  mount -t tmpfs -o size=200m none "$(logs_of "$node")"
done

# None: the disk is full when a write says so.
export MILLRACE_LOG_DIR_RESERVE_BYTES=0
bootstrap=''
for attempt in 1 2 3; do
  base=$((20000 + (RANDOM % 400) * 100))
  if bootstrap="$(cluster start --controllers 3 --brokers 3 --base-port "$base" --millrace "$millrace" \
    2>"$work/start.log")"; then break; fi
  cluster stop >/dev/null 2>&1 || true
  rm -rf "$data"/node-*/data/metadata "$data"/node-?/data "$data/cluster.conf" "$data"/node-10?/data/logs/*
  bootstrap=''
done
[[ -n "$bootstrap" ]] || fail "the cluster does not start: $(cat "$work/start.log")"

ask() { "$millrace" "$@" --timeout 20 --bootstrap "$bootstrap"; }
topic() { # EXPRESSION [TOPIC]: what it says of the description of the topic
  ask topic describe "${2:-events}" -o json |
    /usr/bin/python3 -c "import json, sys; ps = json.load(sys.stdin)['topics'][0]['partitions']; print($1)"
}
await() { # WHAT COMMAND...: until it succeeds
  local what="$1" deadline=$(($(date +%s) + 90))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(date +%s) < deadline)) || fail "$what: $(ask topic describe events -o json)"
    sleep 0.1
  done
}
says() { [[ "$(topic "$1" 2>/dev/null)" == True ]]; }
readonly whole="all(len(p['isr']) == 3 and p['leader'] in p['isr'] for p in ps)"
# How many records a partition shows to readers.
shown() { ask consume events --partition "$1" --from-beginning --until-end 2>"$work/consume.err" | wc -l; }
takes() { printf 'taken\n' | ask produce other --partition "$1" --acks all >/dev/null 2>"$work/produce.err"; }

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
ask topic create other --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 'not all replicas are in sync at first' says "$whole"
"$check" --bootstrap "$bootstrap" --topic events --rate 500 >"$work/report" 2>"$work/check.err" &
checker=$!
sleep 1  # So that there is something in each partition.

for victim in 101 102; do
  # Whatever lies on the disk besides, as other programs' files do.
  dd if=/dev/zero of="$(logs_of "$victim")/ballast" bs=64k 2>/dev/null || true
  await "broker $victim has a full disk, and is in sync everywhere still" says \
    "all(p['leader'] == $victim or $victim not in p['isr'] for p in ps)"
  # Of the topic that the checker does not count.
  led="$(topic "[p['partition'] for p in ps if p['leader'] == $victim][0]" other)"
  not_led="$(topic "[p['partition'] for p in ps if p['leader'] not in ($victim, -1)][0]" other)"
  read="$(topic "[p['partition'] for p in ps if p['leader'] == $victim][0]")"
  grep -q 'log directory has no room' "$data/node-$victim/log" || fail "broker $victim does not say that its disk is full"
  # Refused by name, and at once: what has no time to wait for room is told so.
  printf 'refused\n' | "$millrace" produce other --acks all --timeout 3 --bootstrap "$bootstrap" --partition "$led" \
    >"$work/refused" 2>&1 && fail "broker $victim takes records on a full disk"
  grep -q 'is full' "$work/refused" || fail "a produce to a full disk is refused otherwise: $(cat "$work/refused")"
  takes "$not_led" || fail "partition $not_led, which broker $victim does not lead, takes nothing: $(cat "$work/produce.err")"
  (($(shown "$read") > 0)) || fail "partition $read of broker $victim cannot be read: $(cat "$work/consume.err")"
  ask topic create "made-while-$victim-is-full" --partitions 3 --replication-factor 3 >/dev/null ||
    fail 'no topic can be created'
  kill -0 "$checker" 2>/dev/null || fail "the checker ended: $(cat "$work/report")"

  rm "$(logs_of "$victim")/ballast"
  await "broker $victim has room again and does not come back in sync" says "$whole"
  await "partition $led takes nothing though there is room" takes "$led"
done

kill -TERM "$checker"
wait "$checker" || fail "the records are not what was acknowledged: $(cat "$work/report")"
await 'not all replicas are in sync at the end' says "$whole"
replicas_are_equal events 6
replicas_are_equal other 6
printf 'full_disks_test: %s\n' "$(cat "$work/report")"
cluster stop || fail 'the nodes do not stop cleanly'
