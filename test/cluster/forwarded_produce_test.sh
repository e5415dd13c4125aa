#!/usr/bin/env bash
# A controller and four brokers as real processes. A producer talks to one broker only, which holds nothing of the topic and
# passes on what it is sent, while the leaders are killed, stopped from running, and changed: every acknowledged record is
# there at the end, once, at its offset and in order.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"

start_cluster --controllers 1 --brokers 4
readonly through="127.0.0.1:$((base + 10))"

# The ports that a process is connected to.
peers_of() { # PID
  /usr/bin/python3 - "$1" <<'PY'
import os, re, sys
links = (os.readlink(e.path) for e in os.scandir(f"/proc/{sys.argv[1]}/fd") if e.is_symlink())
own = {m.group(1) for m in (re.fullmatch(r"socket:\[(\d+)\]", link) for link in links) if m}
lines = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/{sys.argv[1]}/net/{name}")]
print(*sorted({int(l[2].rsplit(":", 1)[1], 16) for l in lines if len(l) > 9 and l[9] in own and l[3] == "01"}))
PY
}

ask cluster cordon 101 >/dev/null || fail 'broker 101 cannot be cordoned'
ask topic create events --partitions 6 --replication-factor 3 --config min.insync.replicas=2 >/dev/null ||
  fail 'the topic cannot be created'
await 60 'the replicas are not where they should be' topic_holds events 'all(sorted(p["isr"]) == [102, 103, 104] for p in ps)'

start_load events 2000 --send-through "$through"

# Killed in the middle of what it was passed; comes back, and is killed again with other leaderships.
for partition in 0 1; do
  leader="$(topic events "ps[$partition]['leader']")"
  sleep 1
  cluster kill "$leader"
  await 60 "nobody else leads partition $partition" topic_holds events "ps[$partition]['leader'] not in (-1, $leader)"
  sleep 1
  [[ "$(peers_of "${load[events]}")" == "$((base + 10))" ]] ||
    fail "the producer is connected to other ports than $((base + 10)): $(peers_of "${load[events]}")"
  bring_back "broker $leader"
  await 60 'not all replicas are in sync again' in_sync events
done

# One that holds what it was passed, and does not answer.
leader="$(topic events "ps[2]['leader']")"
cluster pause "$leader"
await 60 'nobody else leads partition 2' topic_holds events "ps[2]['leader'] not in (-1, $leader)"
sleep 1
cluster resume "$leader"
await 60 'not all replicas are in sync after a pause' in_sync events

# All leaderships change at once, with nobody gone.
ask partition elect events >/dev/null || fail 'leaderships cannot be given back'
sleep 1

end_load events
grep -q '"failed": {}' "$work/events.report" || fail 'records failed that should have been sent again'
