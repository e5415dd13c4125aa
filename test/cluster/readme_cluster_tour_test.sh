#!/usr/bin/env bash
# The tour of a cluster in README.md, command by command as it stands there, in one shell. Only where the cluster is and
# which program it runs is this test's: ports of its own, the program that was built.
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
[[ "$1" != start ]] || set -- "$@" ${TOUR_START_OPTIONS}
exec "$TOUR_CLUSTER_SCRIPT" "$@"
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

shows() { grep -q -- "$1" "$work/out" || fail "the tour does not show '$1'"; }
shows 'created topic events: 6 partition(s)'
shows ' equal'
shows 'broker 101 holds nothing'
grep -qx ' *2000' "$work/out" || fail 'the consumer has not seen all 2000 records'
# After the crash broker 101 leads nothing, and after it was decommissioned it holds nothing.
! grep -q 'DIFFERENT' "$work/out" || fail 'the replicas are not alike'
