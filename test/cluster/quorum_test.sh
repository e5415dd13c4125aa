#!/usr/bin/env bash
# Three controllers as real processes, leaders and followers killed and paused while topics are created, deleted, altered
# and described through any of them: all answers fit into one order, whatever was acknowledged is there at the end, on each;
# and a voter whose disk is lost comes back as another one.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly phantoms="$PWD/tools/bench/probe/phantom_brokers"

readonly topic_clients="$PWD/test/cluster/topic_clients"

start_cluster --controllers 3 --phantom-brokers 3 --phantoms "$phantoms"
IFS=',' read -r -a addresses <<<"$bootstrap"

# Creates topics one after the other, through each controller in turn; only what was acknowledged counts.
create_topics() {
  local i=0
  while [[ ! -e "$work/enough" ]]; do
    i=$((i + 1))
    if "$millrace" topic create "t$i" --timeout 20 --bootstrap "${addresses[$((i % 3))]}" >/dev/null 2>>"$work/refused"
    then printf 't%s\n' "$i" >>"$work/acknowledged"; fi
  done
}
: >"$work/acknowledged"
create_topics &
creator=$!
acknowledged() { wc -l <"$work/acknowledged"; }
more_than() { (($(acknowledged) > $1)); }
await 60 'no topic is created' more_than 2

# Others change a few topics as well, all at once; what they are told is checked for linearizability.
"$topic_clients" "$bootstrap" >"$work/history" 2>"$work/history.err" &
changers=$!

for step in 'kill leader' 'pause follower' 'pause leader' 'kill follower' 'kill leader' 'pause leader' 'kill leader'; do
  read -r fault role <<<"$step"
  victim="$("quorum_$role")"
  cluster "$fault" "$victim"
  await 60 "nobody leads after '$fault $victim', the $role" more_than $(($(acknowledged) + 3))
  if [[ "$fault" == pause ]]; then
    [[ "$role" == follower || "$(quorum_leader)" != "$victim" ]] || fail "a paused controller leads"
    cluster resume "$victim"
  else
    bring_back "controller $victim"
  fi
done
touch "$work/enough"
wait "$creator"
kill -TERM "$changers"
wait "$changers" || fail "no order explains what clients were told: $(head -c 2000 "$work/history.err")"

for address in "${addresses[@]}"; do
  bootstrap="$address" topics >"$work/there"
  sort "$work/acknowledged" | comm -23 - "$work/there" >"$work/lost"
  [[ ! -s "$work/lost" ]] || fail "acknowledged and not at $address: $(cat "$work/lost")"
  [[ -e "$work/first" ]] || cp "$work/there" "$work/first"
  cmp "$work/first" "$work/there" || fail "the topics at $address are others"
done
printf 'quorum_test: %s topics were acknowledged, all of them are there; refused: %s; changes: %s\n' "$(acknowledged)" \
  "$(wc -l <"$work/refused")" "$(cat "$work/history")"

cluster stop || fail "the controllers do not stop cleanly"
