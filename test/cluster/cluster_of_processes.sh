# What tests of a cluster of real processes share; they source it. It makes a folder, $work, which goes with the processes of
# the cluster, and with what the test itself runs in the background, when the test ends. A test with more to end defines
# before_clean_up.

# glibc fills what is allocated and freed, and keeps nothing out of that: whoever uses freed memory does not find there what
# was. ChildProcess has the same.
export MALLOC_PERTURB_=165 GLIBC_TUNABLES=glibc.malloc.tcache_count=0

readonly millrace="${MILLRACE:-$PWD/tools/millrace/millrace}"
readonly work="$(mktemp -d "${TEST_TMPDIR:-/tmp}/$(basename "$0" .sh).XXXXXX")"
readonly data="$work/cluster"

# tools/local_cluster.sh, of this cluster.
cluster() { "$PWD/tools/local_cluster.sh" "$@" --data-dir "$data"; }

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  tail -n 25 "$data"/node-*/log "$work"/*.err >&2 || true
  exit 1
}

before_clean_up() { :; }
clean_up() {
  before_clean_up
  kill -KILL $(jobs -pr) 2>/dev/null || true
  # Paused nodes as well.
  cluster stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

# Starts it with these options of `local_cluster.sh start`; $bootstrap is where clients connect, $base its first port.
start_cluster() {
  local attempt
  # Ports that others may have taken meanwhile: another range then.
  for attempt in 1 2 3; do
    base=$((20000 + (RANDOM % 400) * 100))
    if bootstrap="$(cluster start "$@" --base-port "$base" --millrace "$millrace" 2>"$work/start.log")"; then return; fi
    cluster stop >/dev/null 2>&1 || true
    # Where a test has mounted something, that stays, empty.
    ((attempt == 3)) || rm -rf "$data" 2>/dev/null || true
  done
  fail "the cluster does not start: $(cat "$work/start.log")"
}

# ---- Nodes that were stopped, killed, or are new. ----

# Starts what does not run, and waits until all nodes answer.
bring_back() { # WHO
  begin_start
  end_start "$1"
}
# In two steps: for nodes that answer only after something was done for them.
begin_start() {
  cluster start >/dev/null 2>"$work/start.log" &
  starter=$!
}
end_start() { wait "$starter" || fail "$1 cannot be brought back: $(cat "$work/start.log")"; } # WHO

# Starts one node, as it is configured, and waits for nothing.
start_node() { # NODE
  local node="$data/node-$1"
  "$millrace" server --config "$node/server.yaml" --data-dir "$node/data" >>"$node/log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$node/pid"
  disown
}

# The id of a controller's metadata directory.
directory_of() { sed -n 's/^directory.id=//p' "$data/node-$1/data/metadata/meta.properties"; } # NODE

# ---- What the cluster says. Expressions are of Python. ----

# A command about this cluster; $ask_options go with each. Before it, `bootstrap=HOST:PORT` asks one node.
ask_options=(--timeout 20)
ask() { "$millrace" "$@" --bootstrap "$bootstrap" "${ask_options[@]}"; }

# A command that is refused, with these words.
refused() { # WORDS COMMAND...
  local words="$1"
  shift
  if "$@" >"$work/refused" 2>&1; then fail "not refused: $*: $(cat "$work/refused")"; fi
  grep -qF -- "$words" "$work/refused" || fail "$*: refused otherwise than with '$words': $(cat "$work/refused")"
}

# The value of an expression over the JSON on stdin, it.
json() { # EXPRESSION
  /usr/bin/python3 -c "import json, sys; it = json.loads(sys.stdin.read() or sys.exit('no JSON')); print($1)"
}
# Whether it is true; if not, the JSON is shown.
json_holds() { json "($1) or sys.exit(json.dumps(it))" >/dev/null; } # EXPRESSION

# The same of what the quorum says of itself.
quorum() { ask quorum describe -o json | json "$1"; }             # EXPRESSION
quorum_holds() { ask quorum describe -o json | json_holds "$1"; } # EXPRESSION
# Controllers: the one that leads, and one that does not.
quorum_leader() { quorum 'it["leader"]'; }
quorum_follower() { quorum 'next(m["node"] for m in it["members"] if m["node"] != it["leader"])'; }

# The same of the partitions of a topic, ps, the first of which is p.
topic() { # NAME EXPRESSION
  ask topic describe "$1" -o json | json "(lambda ps: (lambda p: $2)(ps[0]))(it['topics'][0]['partitions'])"
}
topic_holds() { topic "$1" "($2) or sys.exit(json.dumps(ps))" >/dev/null; } # NAME EXPRESSION
# All replicas of all its partitions are in sync.
in_sync() { # NAME [REPLICAS, 3 if not said]
  topic_holds "$1" "all(len(p['isr']) == len(p['replicas']) == ${2:-3} and p['leader'] in p['isr'] for p in ps)"
}
# All its partitions are led, by others than this broker.
others_lead() { topic_holds "$1" "all(p['leader'] not in ($2, -1) for p in ps)"; } # NAME BROKER

# The names of all topics, in order.
topics() { ask topic list -o json | json '"\n".join(sorted(t["name"] for t in it["topics"]))'; }

# What a node serves as its metrics.
metrics_of() { # NODE
  /usr/bin/python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())' \
    "http://$(sed -n 's/^http.listener: //p' "$data/node-$1/server.yaml")/metrics"
}
# The value of one of them, over all of its labels, or of one series; nothing, and a failure, if there is none.
metric() { # NODE NAME|SERIES
  metrics_of "$1" | awk -v name="$2" 'index($0, name " ") == 1 || index($0, name "{") == 1 {sum += $NF; there = 1}
    END {if (!there) exit 1; printf "%.0f\n", sum}'
}

# ---- Waiting. ----

now_ms() { date +%s%3N; }

# Waits until a command succeeds. The test fails if that takes longer, with what the command said last.
await() { # SECONDS FAILURE COMMAND...
  local deadline=$(($(now_ms) + $1 * 1000)) failure="$2"
  shift 2
  until "$@" >"$work/awaited" 2>&1; do
    (($(now_ms) < deadline)) || fail "$failure: $(cat "$work/awaited")"
    sleep 0.1
  done
}
# A command succeeds, and says exactly this.
says() { # WORDS COMMAND...
  local words="$1" said
  shift
  said="$("$@")" && printf '%s\n' "$said" && [[ "$said" == "$words" ]]
}
has_lines() { says "$2" wc -l <"$1"; } # FILE COUNT
