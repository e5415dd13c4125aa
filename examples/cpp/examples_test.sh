#!/bin/bash
# Runs the examples against a server of their own: what one writes, the other prints.
set -euo pipefail
millrace=$1 produce=$2 consume=$3
work=$(mktemp -d)
"$millrace" server --data-dir "$work/data" --listen 127.0.0.1:0 --set http.listener=127.0.0.1:0 \
  > "$work/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true; rm -rf "$work"' EXIT

# The server says when it serves, and where.
if ! timeout 30 grep -q -m1 'message=serving' <(tail -n +1 -f "$work/log" --pid="$server"); then
  cat "$work/log"
  exit 1
fi
address=$(grep -o 'listeners=PLAINTEXT://[^ ,]*' "$work/log" | tail -1 | sed 's#.*://##')

"$millrace" topic create greetings --bootstrap "$address"
"$produce" "$address" greetings hello world | grep -x 'partition 0 offset 0'
"$consume" "$address" greetings 1 | grep -x '0@0 hello: world'
