#!/usr/bin/env bash
# Three controllers as real processes that may replace lost directories by themselves. A follower loses its disk, then the
# leader: each comes back as a voter on its new directory without a command, and counts; one whose old directory comes
# back in time keeps that.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly phantoms="$PWD/tools/bench/probe/phantom_brokers"
export MILLRACE_CONTROLLER_QUORUM_AUTO_JOIN_ENABLE=true
export MILLRACE_CONTROLLER_QUORUM_AUTO_JOIN_WAIT_MS=5000

starter=''
before_clean_up() {
  [[ -z "$starter" ]] || kill "$starter" 2>/dev/null || true
}

start_cluster --controllers 3 --phantom-brokers 3 --phantoms "$phantoms"

describe() { "$millrace" quorum describe --timeout 20 --bootstrap "$bootstrap" -o json; }
field() { /usr/bin/python3 -c "import json, sys; quorum = json.load(sys.stdin); print($1)"; }
voter() { describe | field "next((m['directory_id'] for m in quorum['members'] if m['node'] == $1 and m['role'] == 'voter'), '')"; }
leader() { describe | field 'quorum["leader"]'; }
directory_of() { sed -n 's/^directory.id=//p' "$data/node-$1/data/metadata/meta.properties"; }
await() { # WHAT COMMAND...
  local what="$1" deadline=$(($(date +%s) + 90))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(date +%s) < deadline)) || fail "$what"
    sleep 0.1
  done
}
# Three voters and nothing else, all of which have everything.
all_is_well() {
  [[ "$(describe | field 'sorted(m["node"] for m in quorum["members"] if m["role"] == "voter" and m["lag"] == 0
    and m["state"] in ("leader", "replicate")) == [1, 2, 3] and len(quorum["members"]) == 3')" == True ]]
}
create() { "$millrace" topic create "$1" --timeout 30 --bootstrap "$bootstrap" >/dev/null || fail "topic $1 is not created"; }
# Whoever starts waits until all answer, which a newcomer does not yet.
start_again() { cluster start >/dev/null 2>"$work/start.log" & starter=$!; }

for i in $(seq 1 10); do create "t$i"; done
for whom in follower leader; do
  case "$whom" in
    follower) lost="$(describe | field 'next(m["node"] for m in quorum["members"] if m["node"] != quorum["leader"])')" ;;
    leader) lost="$(leader)" ;;
  esac
  old="$(directory_of "$lost")"
  cluster kill "$lost"
  rm -rf "$data/node-$lost/data"
  create "without-the-$whom"
  start_again
  replaced() { [[ -n "$(directory_of "$lost")" && "$(voter "$lost")" == "$(directory_of "$lost")" ]] && all_is_well; }
  await "the $whom's lost directory is not replaced" replaced
  [[ "$(directory_of "$lost")" != "$old" ]] || fail "the empty directory has the id of the lost one"
  wait "$starter" || fail "controller $lost does not answer: $(cat "$work/start.log")"
  starter=''
  # It counts: another one may be lost now.
  other="$(describe | field "next(m['node'] for m in quorum['members'] if m['node'] not in ($lost, quorum['leader']))")"
  cluster kill "$other"
  create "after-the-$whom"
  cluster start >/dev/null 2>&1 || fail "controller $other does not come back"
done
grep -qh 'replacing a voter.s lost directory' "$data"/node-*/log || fail 'no log says what was done'

# A mount that was missing, and is there again before its time is over.
lost="$(describe | field 'next(m["node"] for m in quorum["members"] if m["node"] != quorum["leader"])')"
old="$(directory_of "$lost")"
seen() {
  local now
  now="$(directory_of "$lost")"
  [[ -n "$now" ]] && grep -h 'a voter came back on another directory' "$data"/node-*/log | grep -q "directory=$now"
}
cluster kill "$lost"
mv "$data/node-$lost/data" "$work/unmounted"
start_again
await 'the newcomer is not seen' seen
newcomer="$(directory_of "$lost")"
given_up() { grep -h "other directory is gone again" "$data"/node-*/log | grep -q "directory=$newcomer"; }
cluster kill "$lost"
await 'the newcomer that is gone is still waited for' given_up
wait "$starter" || true
starter=''
rm -rf "$data/node-$lost/data"
mv "$work/unmounted" "$data/node-$lost/data"
cluster start >/dev/null 2>&1 || fail "controller $lost does not come back on its old directory"
await 'the old directory does not vote any more' all_is_well
[[ "$(voter "$lost")" == "$old" ]] || fail "directory $old was replaced although it came back"
all_is_well || fail "not all is well: $(describe)"

topics="$("$millrace" topic list --timeout 20 --bootstrap "$bootstrap" -o json | field 'len(quorum["topics"])')"
[[ "$topics" == 14 ]] || fail "of 14 topics $topics are there"
cluster stop || fail 'the controllers do not stop cleanly'
