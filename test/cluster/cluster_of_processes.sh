# What tests of a cluster of real processes share; they source it. It makes a folder, $work, which goes with the processes of
# the cluster when the test ends. A test with more to end defines before_clean_up.

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
    ((attempt == 3)) || rm -rf "$data"
  done
  fail "the cluster does not start: $(cat "$work/start.log")"
}

# A command about this cluster; $ask_options go with each.
ask_options=(--timeout 20)
ask() { "$millrace" "$@" --bootstrap "$bootstrap" "${ask_options[@]}"; }

# The value of a metric that a node serves, over all of its labels; nothing, and a failure, if there is none.
metric() { # NODE NAME
  local port
  port="$(sed -n 's/^http.listener: .*:\([0-9]*\)$/\1/p' "$data/node-$1/server.yaml")"
  /usr/bin/python3 - "$port" "$2" <<'PYTHON'
import re, sys, urllib.request
text = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=10).read().decode()
values = re.findall(rf"^{sys.argv[2]}(?:{{[^}}]*}})? (\S+)", text, re.M)
if not values:
    sys.exit(f"no metric {sys.argv[2]}")
print(int(sum(float(v) for v in values)))
PYTHON
}
