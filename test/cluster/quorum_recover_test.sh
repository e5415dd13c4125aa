#!/usr/bin/env bash
# Three controllers as real processes, two of which lose their disks for good: the third is recovered by command and has
# every topic; new voters are added to it; and a lost voter that comes back after all is refused.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly phantoms="$PWD/tools/bench/probe/phantom_brokers"
export MILLRACE_INITIAL_FEATURE_LEVEL=1

single=''
before_clean_up() {
  [[ -z "$single" ]] || kill -KILL "$single" 2>/dev/null || true
}

# The cluster begins below the highest feature level.
start_cluster --controllers 3 --phantom-brokers 3 --phantoms "$phantoms"
IFS=',' read -r -a addresses <<<"$bootstrap"

json() { /usr/bin/python3 -c "import json, sys; it = json.load(sys.stdin); print($1)"; }
topics() { ask topic list -o json | json '"\n".join(sorted(t["name"] for t in it["topics"]))'; }
await() { # WHAT COMMAND...
  local what="$1" deadline=$(($(date +%s) + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(date +%s) < deadline)) || fail "$what"
    sleep 0.1
  done
}

# ---- The feature level is raised by command, through any node. ----

level() { "$millrace" cluster features --timeout 20 --bootstrap "$1" -o json | json 'it["feature_level"]'; }
[[ "$(level "${addresses[0]}")" == 1 ]] || fail 'the cluster was to begin at feature level 1'
highest="$(ask cluster features -o json | json 'it["level_supported"]')"
((highest > 1)) || fail "three controllers and three brokers know more than level 1: $(ask cluster features)"
[[ "$(ask cluster features -o json | json 'len(it["nodes"])')" == 6 ]] || fail "of six nodes: $(ask cluster features)"
ask cluster upgrade --to 2 --dry-run >/dev/null || fail 'a dry run of the upgrade is refused'
[[ "$(level "${addresses[1]}")" == 1 ]] || fail 'a dry run raised the level'
if ask cluster upgrade --to 99 2>"$work/refused"; then fail 'a level that nobody knows was taken'; fi
grep -q 'UNSUPPORTED_VERSION' "$work/refused" || fail "refused without the code: $(cat "$work/refused")"
"$millrace" cluster upgrade --timeout 20 --bootstrap "${addresses[2]}" >/dev/null || fail 'the upgrade is refused'
for address in "${addresses[@]}"; do
  [[ "$(level "$address")" == "$highest" ]] || fail "the level at $address is not $highest"
done

# ---- The majority is lost. ----

for i in $(seq 1 20); do ask topic create "t$i" --partitions 3 >/dev/null || fail "topic t$i is not created"; done
topics >"$work/before"
readonly metadata="$data/node-1/data/metadata"
if "$millrace" quorum recover --metadata-dir "$metadata" 2>"$work/refused"; then fail 'recovered beside a server'; fi
grep -q 'DIRECTORY_LOCKED' "$work/refused" || fail "refused without the code: $(cat "$work/refused")"
# What node 1 has is what is recovered: it must have all of it.
node_1_has_all() {
  ask quorum describe -o json | json 'next(1 / (m["lag"] == 0) for m in it["members"] if m["node"] == 1)'
}
await 'controller 1 does not catch up' node_1_has_all
for node in 1 2 3; do cluster kill "$node"; done
mv "$data/node-2/data" "$work/lost-node-2"
rm -rf "$data/node-3/data"

old="$(sed -n 's/^directory.id=//p' "$metadata/meta.properties")"
"$millrace" quorum recover --metadata-dir "$metadata" -o json >"$work/found.json"
[[ "$(json '(it["recovered"], it["topics"], it["given_up"], it["directory_id"])' <"$work/found.json")" == \
  "(False, 20, [2, 3], '$old')" ]] || fail "found: $(cat "$work/found.json")"
"$millrace" quorum recover --metadata-dir "$metadata" >"$work/found.txt"
grep -q 'Nothing was changed' "$work/found.txt" || fail "said: $(cat "$work/found.txt")"
"$millrace" quorum recover --metadata-dir "$metadata" --accept-loss -o json >"$work/recovered.json"
new="$(sed -n 's/^directory.id=//p' "$metadata/meta.properties")"
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
cluster start >/dev/null 2>"$work/start.log" &
starter=$!
recovered_answers() { "$millrace" quorum describe --timeout 2 --bootstrap "${addresses[0]}"; }
await 'the recovered controller does not lead' recovered_answers
topics >"$work/after"
cmp "$work/before" "$work/after" || fail "the topics are others: $(diff "$work/before" "$work/after")"
[[ "$(level "${addresses[0]}")" == "$highest" ]] || fail 'the feature level is another'
for node in 2 3; do
  properties="$data/node-$node/data/metadata/meta.properties"
  await "controller $node does not find the cluster" grep -q '^cluster.id=' "$properties"
  "$millrace" quorum add "$node" --directory-id "$(sed -n 's/^directory.id=//p' "$properties")" \
    --address "127.0.0.1:$((base + 100 + node - 1))" --timeout 60 --bootstrap "${addresses[0]}" ||
    fail "controller $node is not added"
done
wait "$starter" || fail "the new voters do not answer: $(cat "$work/start.log")"
ask topic create afterwards >/dev/null || fail 'no topic is created after the recovery'

# It goes on without the one that was recovered.
cluster kill 1
bootstrap="${addresses[1]},${addresses[2]}"
ask topic create without-the-first >/dev/null || fail 'the new voters do not elect a leader'
cluster start >/dev/null 2>&1 || fail 'the recovered controller does not come back'

# ---- A lost voter comes back on its old directory. ----

cluster kill 2
mv "$data/node-2/data" "$work/new-node-2"
mv "$work/lost-node-2" "$data/node-2/data"
"$millrace" server --config "$data/node-2/server.yaml" --data-dir "$data/node-2/data" >"$work/lost.log" 2>&1 </dev/null &
single=$!
await 'the lost voter is not refused' grep -q 'quorum was recovered without node 2' "$work/lost.log"
bootstrap="${addresses[0]},${addresses[2]}"
ask topic create after-the-refusal >/dev/null || fail 'the lost voter disturbs the quorum'
[[ "$(ask quorum describe -o json | json 'len([m for m in it["members"] if m["role"] == "voter"])')" == 3 ]] ||
  fail 'the voters are others'
kill -KILL "$single" 2>/dev/null || true
wait "$single" 2>/dev/null || true
single=''
mv "$data/node-2/data" "$work/lost-node-2"
mv "$work/new-node-2" "$data/node-2/data"
cluster start >/dev/null 2>&1 || fail 'the new voter does not come back'
bootstrap="$(IFS=,; printf '%s' "${addresses[*]}")"
topics >"$work/end"
[[ "$(comm -23 "$work/before" "$work/end")" == '' ]] || fail 'a topic is lost'
cluster stop || fail 'the controllers do not stop cleanly'
