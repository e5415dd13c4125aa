#!/usr/bin/env bash
# Three controllers as real processes: a voter whose disk is lost comes back as another one, and leads when asked to.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly phantoms="$PWD/tools/bench/probe/phantom_brokers"

start_cluster --controllers 3 --phantom-brokers 3 --phantoms "$phantoms"
ask topic create before >/dev/null

# A follower's disk is lost.
lost="$(quorum_follower)"
member() { quorum "next((m['$2'] for m in it['members'] if m['node'] == $1 and m['role'] == 'voter'), '')"; } # NODE FIELD
old="$(member "$lost" directory_id)"
address="$(member "$lost" address)"
cluster kill "$lost"
rm -rf "$data/node-$lost/data"
# It answers once it belongs to the quorum, which the start waits for.
begin_start
await 60 'a controller with an empty disk does not start' grep '^cluster.id=' \
  "$data/node-$lost/data/metadata/meta.properties"
new="$(directory_of "$lost")"
[[ -n "$new" && "$new" != "$old" ]] || fail "the empty directory has id '$new', the lost one had '$old'"
"$millrace" quorum remove "$lost" --directory-id "$old" --timeout 30 --bootstrap "$bootstrap"
"$millrace" quorum add "$lost" --directory-id "$new" --address "$address" --timeout 60 --bootstrap "$bootstrap"
end_start "controller $lost"
[[ "$(member "$lost" directory_id)" == "$new" ]] || fail "the new directory does not vote"
ask topic create afterwards >/dev/null

# Leadership is handed over when asked for, and at a clean stop.
ask quorum transfer "$lost"
[[ "$(quorum_leader)" == "$lost" ]] || fail "controller $lost was to lead"
cluster stop || fail "the controllers do not stop cleanly"
