#!/usr/bin/env bash
# Three controllers as real processes that move to other addresses: all at once while they are stopped, then one after the
# other. Only configs are edited. They find each other, have every topic, and `quorum describe` says where they are.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 3 --brokers 1
IFS=' ' read -r -a controllers <<<'1 2 3'

client_address() { printf '127.0.0.1:%s' $((base + $1 - 1)); }
# All three vote, have everything, and are where they are expected, whoever is asked.
are_at() { # ADDRESS of 1, of 2, of 3
  local node
  for node in "${controllers[@]}"; do
    bootstrap="$(client_address "$node")" says "$*" quorum '" ".join(m["address"]
      for m in sorted(it["members"], key=lambda m: m["node"])
      if m["role"] == "voter" and m["lag"] == 0 and m["state"] in ("leader", "replicate"))' || return 1
  done
}

ask topic create first >/dev/null || fail 'no topic is created'

# ---- All at once. ----

cluster stop || fail 'the cluster does not stop cleanly'
# The configs are written anew at each start.
base=$((base + 30))
sed -i "s/^base_port=.*/base_port=$base/" "$data/cluster.conf"
bootstrap="$(cluster start 2>"$work/start.log")" || fail "moved controllers do not find each other: $(cat "$work/start.log")"
places=("127.0.0.1:$((base + 100))" "127.0.0.1:$((base + 101))" "127.0.0.1:$((base + 102))")
await 60 'the quorum does not know where its voters are' are_at "${places[@]}"
for node in "${controllers[@]}"; do
  bootstrap="$(client_address "$node")" ask topic create "after-$node" >/dev/null ||
    fail "no topic is created through controller $node"
done
ask topic create by-the-broker >/dev/null || fail 'no topic is created through the broker'

# ---- One after the other: each node's own config says where it is now, the others are left alone. ----

for node in "${controllers[@]}"; do
  old="${places[$((node - 1))]}"
  new="127.0.0.1:$((base + 160 + node))"
  config="$data/node-$node/server.yaml"
  cluster stop "$node" 2>>"$work/start.log" || fail "controller $node does not stop cleanly"
  sed -i "s/$old/$new/g" "$config"
  start_node "$node"
  places[node - 1]="$new"
  await 60 "the quorum does not know where controller $node is" are_at "${places[@]}"
  bootstrap="$(client_address "$node")" ask topic create "moved-$node" >/dev/null ||
    fail "no topic is created through controller $node, which moved"
done

# Whoever leads may go: those that are left find each other.
leader="$(bootstrap="$(client_address 1)" quorum_leader)"
cluster kill "$leader"
for node in "${controllers[@]}"; do
  [[ "$node" != "$leader" ]] || continue
  "$millrace" topic create "without-$leader-by-$node" --timeout 30 --bootstrap "$(client_address "$node")" >/dev/null ||
    fail "no topic is created without controller $leader"
  bootstrap="$(client_address "$node")" topics >"$work/there"
  (($(wc -l <"$work/there") >= 9)) || fail "controller $node has these topics alone: $(xargs <"$work/there")"
done
cluster stop || fail 'the cluster does not stop cleanly'
