#!/usr/bin/env bash
# A server that is killed again and again while a producer writes to it with retries: every record that was
# acknowledged is there, none is there twice, and the order is that of sending.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/checked_load.sh"

start() {
  "$millrace" server --data-dir "$work/data" --listen "$bootstrap" >>"$work/server.err" 2>&1 &
  server=$!
}
answers() { "$millrace" topic list --timeout 2 --bootstrap "$bootstrap" || ! kill -0 "$server"; }
await_server() {
  await 60 'the server does not answer' answers
  kill -0 "$server" 2>/dev/null
}

# A port that others may have taken meanwhile: another one then.
for attempt in 1 2 3; do
  bootstrap="localhost:$((20000 + RANDOM % 10000))"
  start
  if await_server; then break; fi
  kill -9 "$server" 2>/dev/null || true
  rm -rf "$work/data"
  ((attempt < 3)) || fail 'the server does not start'
done
ask topic create events --partitions 3 >/dev/null

start_load events 3000
for round in 1 2 3 4 5 6; do
  # Killed at another moment of its work each time, and never before it has begun to serve.
  await_server || fail "the server is not back for round $round"
  sleep "0.$((RANDOM % 7 + 2))"
  kill -9 "$server"
  wait "$server" 2>/dev/null || true
  start
done
await_server || fail 'the server does not come back'
end_load events
