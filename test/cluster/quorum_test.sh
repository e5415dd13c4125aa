#!/usr/bin/env bash
# Three controllers as real processes, leaders and followers killed and paused while topics are created, deleted, altered
# and described through any of them: all answers fit into one order, whatever was acknowledged is there at the end, on each;
# and a voter whose disk is lost comes back as another one.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly phantoms="$PWD/tools/bench/probe/phantom_brokers"

readonly topic_clients="$PWD/test/cluster/topic_clients"

creator='' changers=''
before_clean_up() {
  [[ -z "$creator$changers" ]] || kill $creator $changers 2>/dev/null || true
}

start_cluster --controllers 3 --phantom-brokers 3 --phantoms "$phantoms"
IFS=',' read -r -a addresses <<<"$bootstrap"

describe() { "$millrace" quorum describe --timeout 20 --bootstrap "$bootstrap" -o json; }
field() { /usr/bin/python3 -c "import json, sys; quorum = json.load(sys.stdin); print($1)"; }
leader() { describe | field 'quorum["leader"]'; }
topics_at() { "$millrace" topic list --timeout 20 --bootstrap "$1" -o json |
  /usr/bin/python3 -c 'import json, sys; print("\n".join(sorted(t["name"] for t in json.load(sys.stdin)["topics"])))'; }

# Waits until a condition holds.
await() { # WHAT COMMAND...
  local what="$1" deadline=$(($(date +%s) + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(date +%s) < deadline)) || fail "$what"
    sleep 0.1
  done
}

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
await 'no topic is created' more_than 2

# Others change a few topics as well, all at once; what they are told is checked for linearizability.
"$topic_clients" "$bootstrap" >"$work/history" 2>"$work/history.err" &
changers=$!

follower() { describe | field 'next(m["node"] for m in quorum["members"] if m["node"] != quorum["leader"])'; }
for step in 'kill leader' 'pause follower' 'pause leader' 'kill follower' 'kill leader' 'pause leader' 'kill leader'; do
  read -r fault role <<<"$step"
  victim="$($role)"
  cluster "$fault" "$victim"
  await "nobody leads after '$fault $victim', the $role" more_than $(($(acknowledged) + 3))
  if [[ "$fault" == pause ]]; then
    [[ "$role" == follower || "$(leader)" != "$victim" ]] || fail "a paused controller leads"
    cluster resume "$victim"
  else
    cluster start >/dev/null 2>&1 || fail "controller $victim does not come back"
  fi
done
touch "$work/enough"
wait "$creator"
creator=''
kill -TERM "$changers"
wait "$changers" || fail "no order explains what clients were told: $(head -c 2000 "$work/history.err")"
changers=''

for address in "${addresses[@]}"; do
  topics_at "$address" >"$work/there"
  sort "$work/acknowledged" | comm -23 - "$work/there" >"$work/lost"
  [[ ! -s "$work/lost" ]] || fail "acknowledged and not at $address: $(cat "$work/lost")"
  [[ -e "$work/first" ]] || cp "$work/there" "$work/first"
  cmp "$work/first" "$work/there" || fail "the topics at $address are others"
done
printf 'quorum_test: %s topics were acknowledged, all of them are there; refused: %s; changes: %s\n' "$(acknowledged)" \
  "$(wc -l <"$work/refused")" "$(cat "$work/history")"

# A follower's disk is lost.
lost="$(describe | field 'next(m["node"] for m in quorum["members"] if m["node"] != quorum["leader"])')"
member() { describe | field "next((m['$2'] for m in quorum['members'] if m['node'] == $1 and m['role'] == 'voter'), '')"; }
old="$(member "$lost" directory_id)"
address="$(member "$lost" address)"
cluster kill "$lost"
rm -rf "$data/node-$lost/data"
# It answers once it belongs to the quorum, which the start waits for.
cluster start >/dev/null 2>"$work/start.log" &
starter=$!
readonly properties="$data/node-$lost/data/metadata/meta.properties"
await 'a controller with an empty disk does not start' grep -q '^cluster.id=' "$properties"
new="$(sed -n 's/^directory.id=//p' "$properties")"
[[ -n "$new" && "$new" != "$old" ]] || fail "the empty directory has id '$new', the lost one had '$old'"
"$millrace" quorum remove "$lost" --directory-id "$old" --timeout 30 --bootstrap "$bootstrap"
"$millrace" quorum add "$lost" --directory-id "$new" --address "$address" --timeout 60 --bootstrap "$bootstrap"
wait "$starter" || fail "it does not answer: $(cat "$work/start.log")"
[[ "$(member "$lost" directory_id)" == "$new" ]] || fail "the new directory does not vote"
"$millrace" topic create afterwards --timeout 20 --bootstrap "$bootstrap" >/dev/null

# Leadership is handed over when asked for, and at a clean stop.
"$millrace" quorum transfer "$lost" --timeout 20 --bootstrap "$bootstrap"
[[ "$(leader)" == "$lost" ]] || fail "controller $lost was to lead"
cluster stop || fail "the controllers do not stop cleanly"
