#!/usr/bin/env bash
# From nothing to records through a running server: installs, builds, starts a server, streams the machine's package
# index (one stanza a record) into a topic and back, and shows that both are the same byte for byte.
# Usage: tools/quickstart.sh [--serve]
#   --serve   keep the server running afterwards, until Ctrl-C
set -euo pipefail

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
source tools/build_environment.sh

readonly topic=packages
readonly separator=$'\n\n'
readonly start_seconds_max=30
readonly stop_seconds_max=10
readonly transfer_seconds_max=600

serve=false
for argument in "$@"; do
  case "$argument" in
    --serve) serve=true ;;
    *)
      printf 'quickstart: unknown argument %s\nusage: tools/quickstart.sh [--serve]\n' "$argument" >&2
      exit 2
      ;;
  esac
done

say() { printf 'quickstart: %s\n' "$*" >&2; }

fail() {
  say "$*"
  if [[ -s "${work:-}/server.log" ]]; then
    say "the server's last lines:"
    tail -n 20 "$work/server.log" >&2
  fi
  exit 1
}

server=''
# However the script ends, no server and no temporary file stays behind.
clean_up() {
  if [[ -n "$server" ]]; then
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  [[ -z "${work:-}" ]] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The port asked for if nobody listens there, else one that the system picks.
free_port() {
  /usr/bin/python3 - "$1" <<'PYTHON'
import socket
import sys

for port in (int(sys.argv[1]), 0):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(probe.getsockname()[1])
        break
PYTHON
}

now_ms() { date +%s%3N; }

# Whether the server ends within some seconds. The shell reaps it as soon as it ends, so its id is gone then.
ended_within() {
  local deadline=$(($(now_ms) + $1 * 1000))
  while kill -0 "$server" 2>/dev/null; do
    (($(now_ms) < deadline)) || return 1
    sleep 0.1
  done
}

start_server() {
  local port http_port
  port="$(free_port 9092)"
  http_port="$(free_port 9464)"
  address="localhost:$port"
  http_address="localhost:$http_port"
  say "starting a server on $address"
  # In a session of its own: Ctrl-C is for this script, which then stops the server once and cleanly.
  setsid "$millrace" server --data-dir "$work/data" --listen "$address" --set "http.listener=$http_address" \
    >"$work/server.log" 2>&1 </dev/null &
  server=$!
  local deadline=$(($(now_ms) + start_seconds_max * 1000))
  until "$millrace" topic create "$topic" --partitions 1 --if-not-exists --timeout 2 --bootstrap "$address" \
    >"$work/create.log" 2>&1 </dev/null; do
    kill -0 "$server" 2>/dev/null || fail "the server ended at its start"
    (($(now_ms) < deadline)) ||
      fail "no topic could be created within $start_seconds_max s: $(tail -n 3 "$work/create.log")"
    sleep 0.2
  done
  say "created topic $topic with one partition"
}

stop_server() {
  say 'stopping the server'
  kill -TERM "$server" 2>/dev/null || true
  ended_within "$stop_seconds_max" || fail "the server did not stop within $stop_seconds_max s of SIGTERM"
  local status=0
  wait "$server" || status=$?
  server=''
  ((status == 0)) || fail "the server stopped with exit status $status"
  say 'the server stopped cleanly'
}

rate() { awk -v n="$1" -v ms="$2" 'BEGIN { printf "%d records in %.2f s, %.0f records/s", n, ms / 1000, n * 1000 / (ms < 1 ? 1 : ms) }'; }

tools/install.sh --package-index

say 'building the release binary (the first time takes some minutes)'
bazel build --config=release "${build_flags[@]}" //tools/millrace >&2 </dev/null ||
  fail 'the build failed'
millrace="$(bazel info --config=release bazel-bin 2>/dev/null </dev/null)/tools/millrace/millrace"
[[ -x "$millrace" ]] || fail "the build left no program at $millrace"

work="$(mktemp -d -t millrace-quickstart.XXXXXX)"

say 'reading the package index'
apt-cache dumpavail >"$work/sent"
# Each stanza ends with an empty line, so that many empty lines are that many records.
records="$(grep -c '^$' "$work/sent" || true)"
((records > 0)) || fail 'apt-cache dumpavail printed no package: run apt-get update'
say "$records stanzas, $(stat -c %s "$work/sent") bytes"

start_server

begin=$(now_ms)
timeout "$transfer_seconds_max" "$millrace" produce "$topic" --file "$work/sent" --delimiter "$separator" \
  --key-regex '^Package: (.*)$' --bootstrap "$address" </dev/null >&2 || fail 'produce failed'
produce_ms=$(($(now_ms) - begin))

begin=$(now_ms)
timeout "$transfer_seconds_max" "$millrace" consume "$topic" --from-beginning --count "$records" \
  --delimiter "$separator" --bootstrap "$address" </dev/null >"$work/received" || fail 'consume failed'
consume_ms=$(($(now_ms) - begin))

cmp "$work/sent" "$work/received" >&2 || fail 'what came back is not what was sent'

cat <<SUMMARY

Sent and received are the same, byte for byte: $(stat -c %s "$work/received") bytes,
sha256 $(sha256sum <"$work/received" | cut -d' ' -f1).
  produced: $(rate "$records" "$produce_ms")
  consumed: $(rate "$records" "$consume_ms")
(Each with the start of its program; every record was on disk before it was acknowledged.)

What to try next, with M=bazel-bin/tools/millrace/millrace:
SUMMARY

if $serve; then
  cat <<NEXT
  \$M topic describe $topic --bootstrap $address
  \$M consume $topic --count 5 --format '{offset} {key}' --bootstrap $address
  seq 100 | \$M produce numbers --bootstrap $address     (after: \$M topic create numbers --bootstrap $address)
  curl http://$http_address/metrics

The server runs on $address until Ctrl-C; then its data is deleted.
NEXT
  trap 'stop_server; exit 0' INT TERM
  wait "$server" || true
  fail 'the server ended by itself'
fi

stop_server
cat <<NEXT
  tools/quickstart.sh --serve             the same, and the server stays
  \$M server                               a server on localhost:9092, data in ./millrace-data
  \$M topic create numbers
  seq 100 | \$M produce numbers
  \$M consume numbers --follow --from-beginning --format '{offset} {value}'
  \$M --help
NEXT
