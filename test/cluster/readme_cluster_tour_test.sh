#!/usr/bin/env bash
# The tour of a cluster in README.md, command by command as it stands there, in one shell, and what its comments promise.
# Only where the cluster is and which program it runs is this test's: ports of its own, the program that was built. A script is
# faster than a reader, to whom a second is nothing: after a broker was killed or started, the cluster has the time to notice.
set -euo pipefail

readonly millrace="$PWD/tools/millrace/millrace"
readonly cluster_script="$PWD/tools/local_cluster.sh"
readonly readme="$PWD/README.md"
readonly work="$(mktemp -d "${TEST_TMPDIR:-/tmp}/readme_cluster_tour_test.XXXXXX")"

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  tail -n 20 "$work"/tour/millrace-cluster/node-10?/log >&2 || true
  exit 1
}
clean_up() {
  (cd "$work/tour" && "$cluster_script" stop >/dev/null 2>&1) || true
  rm -rf "$work"
}
trap clean_up EXIT

mkdir -p "$work/tour/tools" "$work/bin"
ln -s "$millrace" "$work/bin/millrace"
export PATH="$work/bin:$PATH" NO_COLOR=1
cat >"$work/tour/tools/local_cluster.sh" <<'WRAPPER'
#!/usr/bin/env bash
command="$1" node="${2:-}"
[[ "$command" != start ]] || set -- "$@" ${TOUR_START_OPTIONS}
"$TOUR_CLUSTER_SCRIPT" "$@" || exit
case "$command" in
  kill) expected="all($node not in p['isr'] and p['leader'] not in ($node, -1) for p in ps)" ;;
  start) expected="all(len(p['isr']) == 3 for p in ps)" ;;
  *) exit 0 ;;
esac
# Before the first start there is nobody to ask.
[[ -n "${MILLRACE_BOOTSTRAP:-}" ]] || exit 0
deadline=$(($(date +%s) + 60))
until [[ "$(millrace topic describe events -o json 2>/dev/null |
  /usr/bin/python3 -c "import json, sys; ps = json.load(sys.stdin)['topics'][0]['partitions']; print($expected)" \
    2>/dev/null)" == True ]]; do
  (($(date +%s) < deadline)) || { millrace topic describe events >&2; exit 1; }
  sleep 0.1
done
WRAPPER
chmod +x "$work/tour/tools/local_cluster.sh"
export TOUR_CLUSTER_SCRIPT="$cluster_script"
export TOUR_START_OPTIONS="--millrace $millrace --base-port $((20000 + (RANDOM % 400) * 100))"

# The first block under "A cluster", as a script that shows each command and stops at the first that fails.
awk '/^## /{there = ($0 == "## A cluster")} there && /^```/{++fence; next} there && fence == 1' "$readme" >"$work/commands"
(($(wc -l <"$work/commands") >= 12)) || fail "the tour is gone: $(cat "$work/commands")"
{
  # %1 is what the last `&` began; without job control a script has no name for it.
  printf 'set -e\nset -m\n'
  while IFS= read -r line; do printf 'echo %q\n%s\n' "\$ $line" "$line"; done <"$work/commands"
} >"$work/script"
(cd "$work/tour" && timeout 200 bash "$work/script") >"$work/out" 2>&1 || fail "$(cat "$work/out")"
cat "$work/out"

# What the n-th command that begins so has printed.
printed() { # N COMMAND
  awk -v wanted="$1" -v begin="\$ $2" 'substr($0, 1, 2) == "$ " {there = index($0, begin) == 1 && ++count == wanted; next} there' \
    "$work/out"
}
# Of a table with a row per partition, the rows: of `topic describe`, partition, leader, epoch, replicas and the in-sync set.
rows() { grep -E "^ *$1" || true; }
has() { # WHAT TEXT PATTERN
  grep -qE -- "$3" <<<"$2" || fail "$1: $2"
}
# All six rows are so.
all_six() { # WHAT ROWS AWK-CONDITION
  [[ "$(awk "$3" <<<"$2" | wc -l)" == 6 && "$(wc -l <<<"$2")" == 6 ]] || fail "$1: $2"
}

has 'the topic is not created' "$(printed 1 'millrace topic create')" '^created topic events: 6 partition\(s\), replication factor 3'
all_six 'killed broker 101 leads, or is in sync' "$(printed 1 'millrace topic describe' | rows '[0-5] ')" \
  '$2 ~ /^10[23]$/ && $4 ~ /101/ && $5 ~ /10[23],10[23]/ && $5 !~ /101/'
all_six 'not all replicas are alike, of all six partitions' "$(printed 1 'millrace partition verify' | rows 'events ')" \
  '$3 ~ /101/ && $3 ~ /102/ && $3 ~ /103/ && $7 == "equal"'
has 'broker 101 is not decommissioned' "$(printed 1 'millrace cluster decommission')" 'broker 101 holds nothing'
all_six 'broker 101 holds something, or not all are in sync' "$(printed 2 'millrace topic describe' | rows '[0-5] ')" \
  '$4 !~ /101/ && $5 !~ /101/ && $5 ~ /102/ && $5 ~ /103/ && $5 ~ /104/'
has 'the consumer has not seen all records, once' "$(printed 1 'kill %1; sort -n seen')" '^complete$'
