#!/usr/bin/env bash
# Three controllers as real processes, two of which lose their disks for good: the third is recovered by command and has
# every topic; new voters are added to it; and a lost voter that comes back after all is refused.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly phantoms="$PWD/tools/bench/probe/phantom_brokers"
export MILLRACE_INITIAL_FEATURE_LEVEL=1

# The cluster begins below the highest feature level.
start_cluster --controllers 3 --phantom-brokers 3 --phantoms "$phantoms"
IFS=',' read -r -a addresses <<<"$bootstrap"

# ---- The feature level is raised by command, through any node. ----

level() { bootstrap="$1" ask cluster features -o json | json 'it["feature_level"]'; } # ADDRESS
[[ "$(level "${addresses[0]}")" == 1 ]] || fail 'the cluster was to begin at feature level 1'
highest="$(ask cluster features -o json | json 'it["level_supported"]')"
((highest > 1)) || fail "three controllers and three brokers know more than level 1: $(ask cluster features)"
[[ "$(ask cluster features -o json | json 'len(it["nodes"])')" == 6 ]] || fail "of six nodes: $(ask cluster features)"
ask cluster upgrade --to 2 --dry-run >/dev/null || fail 'a dry run of the upgrade is refused'
[[ "$(level "${addresses[1]}")" == 1 ]] || fail 'a dry run raised the level'
refused UNSUPPORTED_VERSION ask cluster upgrade --to 99
bootstrap="${addresses[2]}" ask cluster upgrade >/dev/null || fail 'the upgrade is refused'
for address in "${addresses[@]}"; do
  [[ "$(level "$address")" == "$highest" ]] || fail "the level at $address is not $highest"
done

# ---- The majority is lost. ----

for i in $(seq 1 20); do ask topic create "t$i" --partitions 3 >/dev/null || fail "topic t$i is not created"; done
topics >"$work/before"
readonly metadata="$data/node-1/data/metadata"
refused DIRECTORY_LOCKED "$millrace" quorum recover --metadata-dir "$metadata" # A server runs there.
# What node 1 has is what is recovered: it must have all of it.
await 60 'controller 1 does not catch up' quorum_holds 'next(m["lag"] == 0 for m in it["members"] if m["node"] == 1)'
for node in 1 2 3; do cluster kill "$node"; done
mv "$data/node-2/data" "$work/lost-node-2"
rm -rf "$data/node-3/data"

old="$(directory_of 1)"
"$millrace" quorum recover --metadata-dir "$metadata" -o json >"$work/found.json"
[[ "$(json '(it["recovered"], it["topics"], it["given_up"], it["directory_id"])' <"$work/found.json")" == \
  "(False, 20, [2, 3], '$old')" ]] || fail "found: $(cat "$work/found.json")"
"$millrace" quorum recover --metadata-dir "$metadata" >"$work/found.txt"
grep -q 'Nothing was changed' "$work/found.txt" || fail "said: $(cat "$work/found.txt")"
"$millrace" quorum recover --metadata-dir "$metadata" --accept-loss -o json >"$work/recovered.json"
new="$(directory_of 1)"
[[ "$(json '(it["recovered"], it["generation"], it["directory_id"])' <"$work/recovered.json")" == "(True, 1, '$new')" &&
  "$new" != "$old" ]] || fail "recovered: $(cat "$work/recovered.json")"

# What it prints is what docs/cli.md says.
/usr/bin/python3 - "$work/found.json" "$work/recovered.json" <<'PYTHON' || fail 'other keys than docs/cli.md lists'
import json, re, sys
section = open("docs/cli.md").read().split("### `millrace quorum recover`")[1].split("\n### ")[0]
listed = dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", section, re.M))
names = {bool: "boolean", int: "integer", str: "string"}
for path in sys.argv[1:]:
    found = {}
    for key, value in json.load(open(path)).items():
        is_list = isinstance(value, list)
        found[key + ("[]" if is_list else "")] = names[type(value[0] if is_list else value)]
    if found != listed:
        sys.exit(f"{path}: {sorted(found.items() ^ listed.items())}")
PYTHON

# The others come with empty directories, and wait to be added.
begin_start
await 60 'the recovered controller does not lead' "$millrace" quorum describe --timeout 2 --bootstrap "${addresses[0]}"
topics >"$work/after"
cmp "$work/before" "$work/after" || fail "the topics are others: $(diff "$work/before" "$work/after")"
[[ "$(level "${addresses[0]}")" == "$highest" ]] || fail 'the feature level is another'
for node in 2 3; do
  await 60 "controller $node does not find the cluster" grep '^cluster.id=' "$data/node-$node/data/metadata/meta.properties"
  "$millrace" quorum add "$node" --directory-id "$(directory_of "$node")" \
    --address "127.0.0.1:$((base + 100 + node - 1))" --timeout 60 --bootstrap "${addresses[0]}" ||
    fail "controller $node is not added"
done
end_start 'the new voters'
ask topic create afterwards >/dev/null || fail 'no topic is created after the recovery'

# It goes on without the one that was recovered.
cluster kill 1
bootstrap="${addresses[1]},${addresses[2]}"
ask topic create without-the-first >/dev/null || fail 'the new voters do not elect a leader'
bring_back 'the recovered controller'

# ---- A lost voter comes back on its old directory. ----

cluster kill 2
mv "$data/node-2/data" "$work/new-node-2"
mv "$work/lost-node-2" "$data/node-2/data"
"$millrace" server --config "$data/node-2/server.yaml" --data-dir "$data/node-2/data" >"$work/lost.log" 2>&1 </dev/null &
single=$!
await 60 'the lost voter is not refused' grep 'quorum was recovered without node 2' "$work/lost.log"
bootstrap="${addresses[0]},${addresses[2]}"
ask topic create after-the-refusal >/dev/null || fail 'the lost voter disturbs the quorum'
quorum_holds 'sum(m["role"] == "voter" for m in it["members"]) == 3' || fail 'the voters are others'
kill -KILL "$single" 2>/dev/null || true
wait "$single" 2>/dev/null || true
mv "$data/node-2/data" "$work/lost-node-2"
mv "$work/new-node-2" "$data/node-2/data"
bring_back 'the new voter'
bootstrap="$(IFS=,; printf '%s' "${addresses[*]}")"
topics >"$work/end"
[[ "$(comm -23 "$work/before" "$work/end")" == '' ]] || fail 'a topic is lost'
cluster stop || fail 'the controllers do not stop cleanly'
