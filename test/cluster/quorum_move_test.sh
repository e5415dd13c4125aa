#!/usr/bin/env bash
# Three controllers as real processes that move to other addresses: all at once while they are stopped, then one after the
# other. Only configs are edited. They find each other, have every topic, and `quorum describe` says where they are.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 1
IFS=' ' read -r -a controllers <<<'1 2 3'

describe() { "$millrace" quorum describe --timeout 20 --bootstrap "$1" -o json; }
field() { /usr/bin/python3 -c "import json, sys; it = json.load(sys.stdin); print($1)"; }
await() { # WHAT COMMAND...
  local what="$1" deadline=$(($(date +%s) + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(date +%s) < deadline)) || fail "$what"
    sleep 0.1
  done
}
client_address() { printf '127.0.0.1:%s' $((base + $1 - 1)); }
topics_at() { "$millrace" topic list --timeout 20 --bootstrap "$1" -o json | field '" ".join(sorted(t["name"] for t in it["topics"]))'; }
# All three vote, have everything, and are where they are expected, whoever is asked.
are_at() { # ADDRESS of 1, of 2, of 3
  local node
  for node in "${controllers[@]}"; do
    [[ "$(describe "$(client_address "$node")" |
      field '" ".join(m["address"] for m in sorted(it["members"], key=lambda m: m["node"])
        if m["role"] == "voter" and m["lag"] == 0 and m["state"] in ("leader", "replicate"))')" == "$*" ]] || return 1
  done
}

"$millrace" topic create first --timeout 20 --bootstrap "$bootstrap" >/dev/null || fail 'no topic is created'

# ---- All at once. ----

cluster stop || fail 'the cluster does not stop cleanly'
# The configs are written anew at each start.
base=$((base + 30))
sed -i "s/^base_port=.*/base_port=$base/" "$data/cluster.conf"
bootstrap="$(cluster start 2>"$work/start.log")" || fail "moved controllers do not find each other: $(cat "$work/start.log")"
places=("127.0.0.1:$((base + 100))" "127.0.0.1:$((base + 101))" "127.0.0.1:$((base + 102))")
await 'the quorum does not know where its voters are' are_at "${places[@]}"
for node in "${controllers[@]}"; do
  "$millrace" topic create "after-$node" --timeout 20 --bootstrap "$(client_address "$node")" >/dev/null ||
    fail "no topic is created through controller $node"
done
"$millrace" topic create by-the-broker --timeout 20 --bootstrap "$bootstrap" >/dev/null ||
  fail 'no topic is created through the broker'

# ---- One after the other: each node's own config says where it is now, the others are left alone. ----

for node in "${controllers[@]}"; do
  old="${places[$((node - 1))]}"
  new="127.0.0.1:$((base + 160 + node))"
  config="$data/node-$node/server.yaml"
  cluster stop "$node" 2>>"$work/start.log" || fail "controller $node does not stop cleanly"
  sed -i "s/$old/$new/g" "$config"
  setsid "$millrace" server --config "$config" --data-dir "$data/node-$node/data" >>"$data/node-$node/log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$data/node-$node/pid"
  places[node - 1]="$new"
  await "the quorum does not know where controller $node is" are_at "${places[@]}"
  "$millrace" topic create "moved-$node" --timeout 20 --bootstrap "$(client_address "$node")" >/dev/null ||
    fail "no topic is created through controller $node, which moved"
done

# Whoever leads may go: those that are left find each other.
leader="$(describe "$(client_address 1)" | field 'it["leader"]')"
cluster kill "$leader"
for node in "${controllers[@]}"; do
  [[ "$node" != "$leader" ]] || continue
  "$millrace" topic create "without-$leader-by-$node" --timeout 30 --bootstrap "$(client_address "$node")" >/dev/null ||
    fail "no topic is created without controller $leader"
  found="$(topics_at "$(client_address "$node")" | wc -w)"
  ((found >= 9)) || fail "controller $node has $found topics: $(topics_at "$(client_address "$node")")"
done
cluster stop || fail 'the cluster does not stop cleanly'
