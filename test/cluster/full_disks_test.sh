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

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"
readonly brokers='101 102 103'

before_clean_up() {
  (($? == 0)) || df "$data"/node-10?/data/logs >&2 || true
  # All there is in this process namespace but this script.
  kill -KILL -1 2>/dev/null || true
  sleep 0.1
  local node
  for node in $brokers; do umount -l "$data/node-$node/data/logs" 2>/dev/null || true; done
}

logs_of() { printf '%s' "$data/node-$1/data/logs"; }
for node in $brokers; do
  mkdir -p "$(logs_of "$node")"
  mount -t tmpfs -o size=200m none "$(logs_of "$node")"
done

# None: the disk is full when a write says so.
export MILLRACE_LOG_DIR_RESERVE_BYTES=0
start_cluster --controllers 3 --brokers 3

# How many records a partition shows to readers.
shown() { ask consume events --partition "$1" --from-beginning --until-end 2>"$work/consume.err" | wc -l; }
takes() { ask produce other --partition "$1" --acks all <<<'taken'; } # PARTITION

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
ask topic create other --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await 90 'not all replicas are in sync at first' in_sync events
start_load events 500
sleep 1  # So that there is something in each partition.

for victim in 101 102; do
  # Whatever lies on the disk besides, as other programs' files do.
  dd if=/dev/zero of="$(logs_of "$victim")/ballast" bs=64k 2>/dev/null || true
  await 90 "broker $victim has a full disk, and is in sync everywhere still" topic_holds events \
    "all(p['leader'] == $victim or $victim not in p['isr'] for p in ps)"
  # Of the topic that the checker does not count.
  led="$(topic other "[p['partition'] for p in ps if p['leader'] == $victim][0]")"
  not_led="$(topic other "[p['partition'] for p in ps if p['leader'] not in ($victim, -1)][0]")"
  read="$(topic events "[p['partition'] for p in ps if p['leader'] == $victim][0]")"
  grep -q 'log directory has no room' "$data/node-$victim/log" || fail "broker $victim does not say that its disk is full"
  # Refused by name, and at once: what has no time to wait for room is told so.
  refused 'is full' "$millrace" produce other --acks all --timeout 3 --bootstrap "$bootstrap" --partition "$led" <<<'refused'
  takes "$not_led" >/dev/null || fail "partition $not_led, which broker $victim does not lead, takes nothing"
  (($(shown "$read") > 0)) || fail "partition $read of broker $victim cannot be read: $(cat "$work/consume.err")"
  ask topic create "made-while-$victim-is-full" --partitions 3 --replication-factor 3 >/dev/null ||
    fail 'no topic can be created'
  load_goes_on events

  rm "$(logs_of "$victim")/ballast"
  await 90 "broker $victim has room again and does not come back in sync" in_sync events
  await 90 "partition $led takes nothing though there is room" takes "$led"
done

end_load events
await 90 'not all replicas are in sync at the end' in_sync events
replicas_are_equal events 6
replicas_are_equal other 6
cluster stop || fail 'the nodes do not stop cleanly'
