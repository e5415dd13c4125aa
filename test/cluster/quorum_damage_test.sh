#!/usr/bin/env bash
# Three controllers as real processes. The log of one after the other is damaged on disk, at several places, while it is
# down: it never votes with it, keeps the damaged files, comes back as another voter, and everything acknowledged is there.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly phantoms="$PWD/tools/bench/probe/phantom_brokers"

start_cluster --controllers 3 --phantom-brokers 3 --phantoms "$phantoms"

# Flips one bit in the group that lies this far in the log of a controller that is down.
flip() { # NODE PERCENT
  "$millrace" log dump "$data/node-$1/data/metadata/wal" -o json >"$work/dump"
  /usr/bin/python3 - "$2" "$work/dump" <<'PYTHON'
import json, sys
path, groups = None, []
for line in open(sys.argv[2]):
    it = json.loads(line)
    path = it.get("segment", path)
    if "group" in it:
        groups.append((path, it["offset"]))
# What a later group says is durable: not the last ones, which may be a torn tail.
path, offset = groups[(len(groups) - 4) * int(sys.argv[1]) // 100]
with open(path, "r+b") as file:
    file.seek(offset + 40)
    byte = file.read(1)[0]
    file.seek(offset + 40)
    file.write(bytes([byte ^ 4]))
PYTHON
}

: >"$work/acknowledged"
create() {
  ask topic create "$1" >/dev/null || fail "topic $1 is not created"
  printf '%s\n' "$1" >>"$work/acknowledged"
}
for i in $(seq 1 10); do create "t$i"; done

round=0
for percent in 0 50 100; do
  round=$((round + 1))
  victim="$round"
  old="$(directory_of "$victim")"
  cluster kill "$victim"
  create "while-$victim-is-down"
  flip "$victim" "$percent"
  begin_start
  await 60 "controller $victim does not set its log aside" test -e "$data/node-$victim/data/metadata/damaged-$old/wal"
  changed() { [[ "$(directory_of "$victim")" != "$old" ]]; }
  await 60 "controller $victim keeps its identity" changed
  # It is no voter: the others go on without it.
  create "while-$victim-waits"
  ask quorum remove "$victim" --directory-id "$old" || fail "the damaged voter is not removed"
  "$millrace" quorum add "$victim" --bootstrap "$bootstrap" --directory-id "$(directory_of "$victim")" \
    --address "127.0.0.1:$((base + 100 + victim - 1))" --timeout 60 || fail "controller $victim is not added again"
  end_start "controller $victim"
  grep -q 'CORRUPT_LOG\|is damaged and was set aside' "$data/node-$victim/log" || fail 'the damage is not told'
  # It counts again: one of the others may be lost now.
  other=$((victim % 3 + 1))
  cluster kill "$other"
  create "without-$other"
  bring_back "controller $other"
done

sort "$work/acknowledged" >"$work/expected"
IFS=',' read -r -a addresses <<<"$bootstrap"
for address in "${addresses[@]}"; do
  bootstrap="$address" topics >"$work/there"
  cmp "$work/expected" "$work/there" || fail "at $address: $(diff "$work/expected" "$work/there")"
done
cluster stop || fail 'the controllers do not stop cleanly'
