#!/usr/bin/env bash
# Three controllers as real processes that may replace lost directories by themselves. A follower loses its disk, then the
# leader: each comes back as a voter on its new directory without a command, and counts; one whose old directory comes
# back in time keeps that.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly phantoms="$PWD/tools/bench/probe/phantom_brokers"
export MILLRACE_CONTROLLER_QUORUM_AUTO_JOIN_ENABLE=true
export MILLRACE_CONTROLLER_QUORUM_AUTO_JOIN_WAIT_MS=5000

start_cluster --controllers 3 --phantom-brokers 3 --phantoms "$phantoms"

voter() { quorum "next((m['directory_id'] for m in it['members'] if m['node'] == $1 and m['role'] == 'voter'), '')"; }
# Three voters and nothing else, all of which have everything.
all_is_well() {
  quorum_holds 'sorted(m["node"] for m in it["members"] if m["role"] == "voter" and m["lag"] == 0
    and m["state"] in ("leader", "replicate")) == [1, 2, 3] and len(it["members"]) == 3'
}
create() { "$millrace" topic create "$1" --timeout 30 --bootstrap "$bootstrap" >/dev/null || fail "topic $1 is not created"; }

for i in $(seq 1 10); do create "t$i"; done
for whom in follower leader; do
  lost="$("quorum_$whom")"
  old="$(directory_of "$lost")"
  cluster kill "$lost"
  rm -rf "$data/node-$lost/data"
  create "without-the-$whom"
  begin_start
  replaced() { [[ -n "$(directory_of "$lost")" && "$(voter "$lost")" == "$(directory_of "$lost")" ]] && all_is_well; }
  await 90 "the $whom's lost directory is not replaced" replaced
  [[ "$(directory_of "$lost")" != "$old" ]] || fail "the empty directory has the id of the lost one"
  end_start "controller $lost"
  # It counts: another one may be lost now.
  other="$(quorum "next(m['node'] for m in it['members'] if m['node'] not in ($lost, it['leader']))")"
  cluster kill "$other"
  create "after-the-$whom"
  bring_back "controller $other"
done
grep -qh 'replacing a voter.s lost directory' "$data"/node-*/log || fail 'no log says what was done'

# A mount that was missing, and is there again before its time is over.
lost="$(quorum_follower)"
old="$(directory_of "$lost")"
seen() {
  local now
  now="$(directory_of "$lost")"
  [[ -n "$now" ]] && grep -h 'a voter came back on another directory' "$data"/node-*/log | grep -q "directory=$now"
}
cluster kill "$lost"
mv "$data/node-$lost/data" "$work/unmounted"
begin_start
await 90 'the newcomer is not seen' seen
newcomer="$(directory_of "$lost")"
given_up() { grep -h "other directory is gone again" "$data"/node-*/log | grep -q "directory=$newcomer"; }
cluster kill "$lost"
await 90 'the newcomer that is gone is still waited for' given_up
wait "$starter" || true
rm -rf "$data/node-$lost/data"
mv "$work/unmounted" "$data/node-$lost/data"
bring_back "controller $lost, on its old directory,"
await 90 'the old directory does not vote any more' all_is_well
[[ "$(voter "$lost")" == "$old" ]] || fail "directory $old was replaced although it came back"
all_is_well || fail 'not all is well'

topics >"$work/there"
has_lines "$work/there" 14 || fail "of 14 topics these are there: $(xargs <"$work/there")"
cluster stop || fail 'the controllers do not stop cleanly'
