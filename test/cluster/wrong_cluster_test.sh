#!/usr/bin/env bash
# A broker that was killed, and so has to recover its logs, is started with the controllers of another cluster: it says so and
# ends, with exit code 1.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
readonly stray="$work/stray"

start_cluster --controllers 1 --brokers 1
ask topic create events --partitions 8 --replication-factor 1 --config min.insync.replicas=1 >/dev/null
seq 20000 | ask produce events >/dev/null 2>"$work/produce.err"
cluster kill 101 >/dev/null
mv "$data/node-101" "$stray"
cluster stop >/dev/null
rm -rf "$data"

start_cluster --controllers 1 --brokers 0
code=0
timeout 60 "$millrace" server --config "$stray/server.yaml" --data-dir "$stray/data" \
  --set "controller.quorum.voters=1@127.0.0.1:$((base + 100))" --set listeners=PLAINTEXT://127.0.0.1:0 \
  --set http.listener= >"$work/server.err" 2>&1 || code=$?
[[ "$code" == 1 ]] || fail "exit code $code"
grep -q 'belongs to cluster .*(INCONSISTENT_CLUSTER_ID)' "$work/server.err" || fail 'it does not say why'
printf 'wrong_cluster_test: ok\n'
