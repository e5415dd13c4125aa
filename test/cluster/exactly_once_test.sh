#!/usr/bin/env bash
# A server that is killed again and again while a producer writes to it with retries: every record that was
# acknowledged is there, none is there twice, and the order is that of sending.
set -euo pipefail

readonly millrace="$PWD/tools/millrace/millrace"
readonly check="$PWD/tools/bench/probe/delivery_check"
readonly work="$(mktemp -d "${TEST_TMPDIR:-/tmp}/exactly_once_test.XXXXXX")"

server=''
checker=''
clean_up() {
  [[ -z "$checker" ]] || kill -9 "$checker" 2>/dev/null || true
  [[ -z "$server" ]] || kill -9 "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  tail -n 30 "$work"/log "$work"/check.err >&2 || true
  exit 1
}

start() {
  "$millrace" server --data-dir "$work/data" --listen "localhost:$port" >>"$work/log" 2>&1 &
  server=$!
}
answers() { "$millrace" topic list --timeout 2 --bootstrap "localhost:$port" >/dev/null 2>&1; }
await_server() {
  local deadline=$(($(date +%s) + 60))
  until answers; do
    kill -0 "$server" 2>/dev/null || return 1
    (($(date +%s) < deadline)) || return 1
  done
}

# A port that others may have taken meanwhile: another one then.
for attempt in 1 2 3; do
  port=$((20000 + RANDOM % 10000))
  start
  if await_server; then break; fi
  kill -9 "$server" 2>/dev/null || true
  rm -rf "$work/data"
  ((attempt < 3)) || fail 'the server does not start'
done
"$millrace" topic create events --partitions 3 --bootstrap "localhost:$port" >/dev/null

"$check" --bootstrap "localhost:$port" --topic events --rate 3000 >"$work/report" 2>"$work/check.err" &
checker=$!
for round in 1 2 3 4 5 6; do
  # Killed at another moment of its work each time, and never before it has begun to serve.
  await_server || fail "the server is not back for round $round"
  sleep "0.$((RANDOM % 7 + 2))"
  kill -9 "$server"
  wait "$server" 2>/dev/null || true
  start
done
await_server || fail 'the server does not come back'
kill -TERM "$checker"
status=0
wait "$checker" || status=$?
checker=''
cat "$work/report"
((status == 0)) || fail "the records are not what was acknowledged"
