#!/usr/bin/env bash
# local_cluster.sh with a stand-in for the server: its command line, and what it does to the processes.
set -euo pipefail

readonly script="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local_cluster.sh"
readonly work="$(mktemp -d "${TEST_TMPDIR:-/tmp}/local_cluster_test.XXXXXX")"
cd "$work"

clean_up() {
  "$script" stop >"$work/stop.log" 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

# A server that writes its number into its log and waits for SIGTERM; a quorum that is as it was told.
cat >millrace <<'STANDIN'
#!/usr/bin/env bash
case "$1" in
  server)
    [[ ! -e "$(dirname "$0")/refuse" ]] || { echo "cannot start"; exit 1; }
    trap 'exit 0' TERM
    grep node.id "$3"
    while :; do read -r -t 60 <> <(:) || true; done
    ;;
  quorum) [[ ! -e "$(dirname "$0")/refuse" ]] && echo "quorum at ${!#}" ;;
esac
STANDIN
chmod +x millrace

cat >phantoms <<'STANDIN'
#!/usr/bin/env bash
echo "phantoms $*"
STANDIN
chmod +x phantoms

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# Expects an exit code and, in what is printed, a text.
expect() { # CODE TEXT ARGUMENT...
  local code="$1" text="$2" status=0
  shift 2
  "$script" "$@" >out 2>&1 </dev/null || status=$?
  [[ "$status" == "$code" ]] || fail "$*: exit code $status, not $code: $(cat out)"
  grep -qF -- "$text" out || fail "$*: '$text' is not in: $(cat out)"
}

expect 0 'Usage:' --help
expect 2 'what to do?'
expect 2 "no command 'begin'" begin
expect 2 "no option '--controler'" start --controler 3
expect 2 "'0' is not a whole number from 1 to 9" start --controllers 0
expect 2 "'x' is not a whole number" start --controllers x
expect 2 "'80' is not a whole number from 1024" start --base-port 80
expect 2 'needs a value' start --data-dir
expect 2 'which node?' kill
expect 2 "'one' is not a whole number" pause one
expect 2 'takes no node' status 1
expect 2 'one word too many' kill 1 2
expect 2 'the others are of start' stop --controllers 3
expect 2 "'x' is not a whole number from 0" start --brokers x
expect 2 '--follow is an option of logs' status --follow
expect 1 'there is no cluster in millrace-cluster' status
expect 1 'there is no program at' start --millrace "$work/nothing"

# A quorum alone, with brokers that have no process.
expect 0 'phantoms --controllers 127.0.0.1:20200,127.0.0.1:20201,127.0.0.1:20202 --count 2' \
  start --data-dir alone --controllers 3 --phantom-brokers 2 --base-port 20100 --millrace "$work/millrace" \
  --phantoms "$work/phantoms"
grep -qF '127.0.0.1:20100,127.0.0.1:20101,127.0.0.1:20102' out || fail "bootstrap: $(cat out)"
grep -qF 'broker.session.timeout.ms' alone/node-1/server.yaml || fail 'brokers without a process would be fenced'
expect 1 'one or the other' start --data-dir alone --brokers 3
expect 0 'stopped 3 of 3 nodes' stop --data-dir alone

expect 0 '127.0.0.1:20110,127.0.0.1:20111' \
  start --controllers 3 --brokers 2 --base-port 20100 --millrace "$work/millrace"
for n in 1 2 3 101 102; do
  config="millrace-cluster/node-$n/server.yaml"
  grep -qxF "node.id: $n" "$config" || fail "node.id of $n: $(cat "$config")"
  grep -qxF 'controller.quorum.voters: 1@127.0.0.1:20200,2@127.0.0.1:20201,3@127.0.0.1:20202' "$config" ||
    fail "voters of $n: $(cat "$config")"
done
grep -qF "CONTROLLER://127.0.0.1:20202" millrace-cluster/node-3/server.yaml || fail 'listeners of controller 3'
grep -qxF "listeners: PLAINTEXT://127.0.0.1:20111" millrace-cluster/node-102/server.yaml || fail 'listeners of broker 102'
grep -qxF "process.roles: broker" millrace-cluster/node-102/server.yaml || fail 'the role of broker 102'
expect 0 'quorum at 127.0.0.1:20100,127.0.0.1:20101,127.0.0.1:20102' status
[[ "$(grep -c running out)" == 5 ]] || fail "not all run: $(cat out)"
grep -q '^101 *broker .*127.0.0.1:20110' out || fail "status: $(cat out)"
expect 0 'started 0 of 3 controllers and 2 brokers' start --millrace "$work/millrace"
grep -q phantoms out && fail "brokers nobody asked for: $(cat out)"
expect 1 'has 3 controllers, not 5' start --controllers 5
expect 1 'has base port 20100' start --base-port 20500

expect 0 'killed controller 2' kill 2
expect 1 'controller 2 does not run' kill 2
expect 1 'there is no node 7' kill 7
expect 1 'has the nodes 1 2 3 101 102' kill 103
expect 0 'killed broker 101' kill 101
expect 0 'paused controller 3' pause 3
expect 0 'paused' status
grep -q '^2 .*stopped' out && grep -q '^3 .*paused' out && grep -q '^101 .*stopped' out || fail "status: $(cat out)"
expect 0 'controller 3 runs again' resume 3
expect 0 'started 2 of 3' start
expect 0 'node.id: 2' logs 2

# A pid file that names somebody else's process is not believed.
cp millrace-cluster/node-1/pid pid.1
echo "$$" >millrace-cluster/node-1/pid
expect 1 'controller 1 does not run' kill 1
cp pid.1 millrace-cluster/node-1/pid

expect 0 'paused controller 3' pause 3
expect 0 'stopped controller 2' stop 2
expect 1 'controller 2 does not run' stop 2
expect 0 'stopped 4 of 5 nodes' stop
expect 0 'stopped 0 of 5 nodes' stop

touch refuse
expect 1 'controller 1 has ended' start --millrace "$work/millrace"
grep -q 'cannot start' out || fail "the log of a server that ends is not shown: $(cat out)"
echo 'local_cluster.sh does what it says'
