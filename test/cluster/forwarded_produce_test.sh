#!/usr/bin/env bash
# A controller and four brokers as real processes. A producer talks to one broker only, which holds nothing of the topic and
# passes on what it is sent, while the leaders are killed, stopped from running, and changed: every acknowledged record is
# there at the end, once, at its offset and in order.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly check="$PWD/tools/bench/probe/delivery_check"

checker=''
before_clean_up() {
  [[ -z "$checker" ]] || kill -9 "$checker" 2>/dev/null || true
  for n in 102 103 104; do cluster resume "$n" >/dev/null 2>&1 || true; done
}

start_cluster --controllers 1 --brokers 4
readonly through="127.0.0.1:$((base + 10))"

topic() { # EXPRESSION-OF-ps
  ask topic describe events -o json |
    /usr/bin/python3 -c "import json, sys; ps = json.load(sys.stdin)['topics'][0]['partitions']; print($1)"
}
await() { # WHAT EXPRESSION-OF-ps
  local deadline=$(($(date +%s) + 60))
  until [[ "$(topic "$2" 2>/dev/null)" == True ]]; do
    (($(date +%s) < deadline)) || fail "$1: $(ask topic describe events)"
    sleep 0.1
  done
}
readonly all_in_sync='all(sorted(p["isr"]) == [102, 103, 104] for p in ps)'
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
await 'the replicas are not where they should be' "$all_in_sync"

"$check" --bootstrap "$bootstrap" --send-through "$through" --topic events --rate 2000 >"$work/report" \
  2>"$work/check.err" &
checker=$!

# Killed in the middle of what it was passed; comes back, and is killed again with other leaderships.
for partition in 0 1; do
  leader="$(topic "ps[$partition]['leader']")"
  sleep 1
  cluster kill "$leader" 2>/dev/null
  await "nobody else leads partition $partition" "ps[$partition]['leader'] not in (-1, $leader)"
  sleep 1
  [[ "$(peers_of "$checker")" == "$((base + 10))" ]] ||
    fail "the producer is connected to other ports than $((base + 10)): $(peers_of "$checker")"
  cluster start >/dev/null 2>"$work/start.log" || fail "broker $leader does not come back: $(cat "$work/start.log")"
  await 'not all replicas are in sync again' "$all_in_sync"
done

# One that holds what it was passed, and does not answer.
leader="$(topic "ps[2]['leader']")"
cluster pause "$leader" 2>/dev/null
await 'nobody else leads partition 2' "ps[2]['leader'] not in (-1, $leader)"
sleep 1
cluster resume "$leader" 2>/dev/null
await 'not all replicas are in sync after a pause' "$all_in_sync"

# All leaderships change at once, with nobody gone.
ask partition elect events >/dev/null || fail 'leaderships cannot be given back'
sleep 1

kill -0 "$checker" 2>/dev/null || fail "the checker ended: $(cat "$work/report")"
kill -TERM "$checker"
status=0
wait "$checker" || status=$?
checker=''
cat "$work/report"
((status == 0)) || fail 'the records are not what was acknowledged'
grep -q '"failed": {}' "$work/report" || fail 'records failed that should have been sent again'
