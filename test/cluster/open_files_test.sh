#!/usr/bin/env bash
# A broker that may open few files: it takes as many as it may have, a flood of connections does not take them all, and where
# the logs find none they wait, and go on when there are some again; no log directory fails for it. Then max.connections is
# lowered and raised while it runs.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

ulimit -Sn 128
ulimit -Hn 512
start_cluster --controllers 1 --brokers 1
readonly broker=101
port="${bootstrap##*:}"

# Keeps as many connections as it gets, of those asked for; says how many, once nothing more comes, and waits for its end.
begin_flood() { # CONNECTIONS
  # Not what the one before has said.
  : >"$work/flood"
  /usr/bin/python3 - "$port" "$1" <<'PYTHON' >"$work/flood" &
import resource, select, signal, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
def let_in(connection):
    # The server greets with its settings, or hangs up.
    try:
        return bool(connection.recv(1))
    except OSError:
        return False
kept = []
for _ in range(int(sys.argv[2])):
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
    if let_in(connection):
        kept.append(connection)
print(len(kept), flush=True)
signal.pause()
PYTHON
  flood=$!
  await 60 'the flood does not end' test -s "$work/flood"
}
end_flood() {
  kill "$flood"
  wait "$flood" 2>/dev/null || true
}
offline() { metric "$broker" millrace_log_dir_offline; }

[[ "$(awk '/^Max open files/ {print $4}' "/proc/$(cat "$data/node-$broker/pid")/limits")" == 512 ]] ||
  fail 'the broker has not raised its limit of open files'
grep -q 'few files may be open at once' "$data/node-$broker/log" || fail 'it does not say that it may open few files'

# Two descriptors each: half of the 512 are enough for 128 of them.
begin_flood 200
kept="$(cat "$work/flood")"
((kept > 100 && kept <= 128)) || fail "$kept connections were let in"
# Who has come first is served on; others come when some have gone.
end_flood

# Three descriptors for each of so many logs are more than the connections leave: they take turns, while all connections stay.
begin_flood 110
ask topic create many --partitions 100 --replication-factor 1 --config min.insync.replicas=1 >/dev/null
seq 20000 | ask produce many --property linger.ms=0 --property batch.size=1000 >/dev/null 2>"$work/produce.err" ||
  fail "records were not taken: $(cat "$work/produce.err")"
end_flood
[[ "$(offline)" == 0 ]] || fail 'the log directory has failed'
diff <(seq 20000 | sort) <(ask consume many --from-beginning --until-end | sort) >/dev/null || fail 'records are missing'

# The limit of the config, at once.
ask config alter "broker:$broker" --set max.connections=5 >/dev/null
begin_flood 20
kept="$(cat "$work/flood")"
((kept <= 5)) || fail "$kept connections were let in, and max.connections is 5"
end_flood
await 60 'nobody is let in again' ask config alter "broker:$broker" --delete max.connections
begin_flood 20
[[ "$(cat "$work/flood")" == 20 ]] || fail "only $(cat "$work/flood") of 20 connections were let in again"
end_flood
printf 'open_files_test: ok\n'
