#!/usr/bin/env bash
# All brokers lose what they have in memory, and one of them finds its log damaged when it is started again. Where a tail was
# torn that may have been acknowledged, another one leads, however late it comes back (S-08). Where what was synced is
# damaged, the leader gives up the lead (S-35). Nothing is lost, and in the end all are in sync.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 3
ask_options=(--timeout 60)

log_of() { printf '%s' "$data/node-$1/data/logs/t-0/00000000000000000000.log"; }
# Damage behind the last batch, or (`middle`) one bit of a batch in the middle.
damage() { # BROKER end|middle
  /usr/bin/python3 - "$(log_of "$1")" "$2" <<'PYTHON'
import struct, sys
path, where = sys.argv[1:]
log = bytearray(open(path, "rb").read())
starts, at = [], 0
while at + 12 <= len(log) and struct.unpack_from(">i", log, at + 8)[0]:
    starts.append(at)
    at += 12 + struct.unpack_from(">i", log, at + 8)[0]
if where == "end":
    log[at:at + 70] = b"half a batch".ljust(70, b"!")
else:
    log[starts[len(starts) // 2] + 30] ^= 4
open(path, "wb").write(log)
PYTHON
}
# How often the controllers have fenced a broker, and it has become active.
fences() { cat "$data"/node-[123]/log | grep -c "the session of a broker has ended: it is fenced\" broker=$1 "; }
activations() { grep -c 'broker active' "$data/node-$1/log"; }
is_fenced() { (($(fences "$1") > $2)); } # BROKER TIMES-BEFORE
# One after the other, each when the one before it is fenced.
kill_all() { # BROKER...
  local broker before
  for broker in "$@"; do
    before="$(fences "$broker" || true)"
    cluster kill "$broker"
    await 30 "broker $broker is not fenced" is_fenced "$broker" "$before"
  done
}
reads_all() { diff <(seq 1 "$1") <(ask consume t --from-beginning --until-end); }

ask topic create t --partitions 1 --replication-factor 3 --config min.insync.replicas=2 >/dev/null
for from in 1 1001 2001; do seq "$from" $((from + 999)) | ask produce t --acks all >/dev/null; done
await 20 'not all are in sync' in_sync t

# Two are eligible; the tail of one of them is torn, and it comes back first.
kill_all 101 102 103
before_101="$(activations 101)"
before_102="$(activations 102)"
damage 102 end
start_node 102
start_node 101
are_active() { (($(activations 101) > before_101 && $(activations 102) > before_102)); }
await 30 'brokers 101 and 102 are not both active' are_active
await 10 'broker 103 is not waited for' topic_holds t \
  'p["leader"] == -1 and sorted(p["eligible"]) == [102, 103] and p["impaired"] == [102]'
ask topic describe t | grep -q 'no leader for partition 0: .*offline: 103; cut or damaged .*: 102$' ||
  fail "it is not said what is waited for: $(ask topic describe t)"
start_node 103
await 30 'broker 103 does not lead' topic_holds t 'p["leader"] == 103'
await 30 'not all are in sync again' in_sync t
await 30 'not all records are read' reads_all 3000

# One alone is in sync when it goes, and of its log a synced batch is damaged.
seq 3001 4000 | ask produce t --acks all >/dev/null
await 20 'not all are in sync' in_sync t
kill_all 101 103 102
damage 102 middle
for broker in 101 102 103; do start_node "$broker"; done
await 60 'no other broker leads' topic_holds t 'p["leader"] in (101, 103)'
await 60 'not all are in sync at last' in_sync t
topic_holds t 'p["impaired"] == []' || fail 'a replica in sync is impaired'
await 30 'not all records are read again' reads_all 4000
ask partition verify t >"$work/verified" || fail "the replicas are not alike: $(cat "$work/verified")"
seq 4001 4100 | ask produce t --acks all >/dev/null || fail 'nothing is acknowledged in the end'
printf 'damaged_starts_test: %s\n' "$(topic t 'p["isr"]')"
