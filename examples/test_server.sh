# For the examples' tests, to be sourced: start_server PROGRAM starts a server on a directory of its
# own and sets `work` (a directory that goes away with the test) and `address` (HOST:PORT).
start_server() {
  work=$(mktemp -d)
  # There before the server is, for those that read it.
  : > "$work/log"
  "$1" server --data-dir "$work/data" --listen 127.0.0.1:0 --set http.listener=127.0.0.1:0 \
    >> "$work/log" 2>&1 &
  server=$!
  trap 'kill "$server" 2>/dev/null || true; wait "$server" || true; rm -rf "$work"' EXIT
  # The server says when it serves, and where.
  if ! timeout 30 grep -q -m1 'message=serving' <(tail -n +1 -f "$work/log" --pid="$server"); then
    cat "$work/log"
    exit 1
  fi
  address=$(grep -o 'listeners=PLAINTEXT://[^ ,]*' "$work/log" | tail -1 | sed 's#.*://##')
}
