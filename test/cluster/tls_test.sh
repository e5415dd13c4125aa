#!/usr/bin/env bash
# Three controllers and three brokers as real processes that talk by TLS alone: the cluster works, clients are told what
# they lack, and a process with another node's certificate is nobody there, which both sides say.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
command -v openssl >/dev/null || fail 'openssl is needed'

start_cluster --controllers 3 --brokers 3 --tls
readonly authority="$data/tls/authority.pem"

ask_options+=(--tls-ca "$authority")

# ---- The cluster works: quorum, sessions, replication, forwarding, clients. ----

ask topic create events --partitions 3 --replication-factor 3 >/dev/null || fail 'a topic is not created'
seq 1 1000 >"$work/in"
ask produce events --acks all <"$work/in" >/dev/null || fail 'records are not taken'
ask consume events --from-beginning --count 1000 >"$work/out" || fail 'records are not read'
sort -n "$work/out" | cmp - "$work/in" || fail 'other records are read'
await 60 'the replicas are not in sync' in_sync events

# ---- What nodes say of their files and handshakes is in the table of metrics. ----

sed -nE 's/^\| `(millrace_tls_[a-z_]+)` .*/\1/p' "$PWD/docs/metrics.md" >"$work/documented"
[[ -s "$work/documented" ]] || fail 'no metrics of TLS'
while read -r name; do
  for node in 1 101; do metric "$node" "$name" >/dev/null || fail "node $node does not serve $name"; done
done <"$work/documented"
[[ "$(metric 1 millrace_tls_file_refused)" == 0 ]] || fail 'a good file is not taken'
(($(metric 1 millrace_tls_certificate_expiry_timestamp_seconds) > $(date +%s))) || fail 'a certificate has expired'
(($(metric 1 millrace_tls_handshakes_completed_total) > 0)) || fail 'no handshake is counted'

# ---- Who connects in another way is told so. ----

refused 'takes TLS only' "$millrace" topic list --timeout 5 --bootstrap "$bootstrap"
refused 'AUTHORIZATION_FAILED' "$millrace" topic list --timeout 5 --bootstrap "$bootstrap"
refused 'AUTHORIZATION_FAILED' "$millrace" produce events --timeout 60 --bootstrap "$bootstrap" <"$work/in"
refused 'AUTHORIZATION_FAILED' "$millrace" consume events --timeout 60 --bootstrap "$bootstrap"
refused 'certificate verify failed' "$millrace" topic list --tls --timeout 5 --bootstrap "$bootstrap"
refused 'no certificate was shown' "$millrace" quorum describe --tls-ca "$authority" --timeout 5 \
  --bootstrap "127.0.0.1:$((base + 100))"
refused 'is for the nodes of millrace://local/node/' "$millrace" quorum describe --tls-ca "$authority" --timeout 5 \
  --bootstrap "127.0.0.1:$((base + 100))"

# ---- A key and a certificate that do not fit are no start. ----

sed '/BEGIN CERTIFICATE/,$d' "$data/tls/node-1.pem" >"$work/mixed.pem"
sed -n '/BEGIN CERTIFICATE/,$p' "$data/tls/node-2.pem" >>"$work/mixed.pem"
refused "'$work/mixed.pem' holds a private key and a certificate (CN=node-2) that do not belong together" \
  "$millrace" server --data-dir "$work/none" --set listeners=SSL://127.0.0.1:0 \
  --set "ssl.keystore.location=$work/mixed.pem"

# ---- A process with another node's certificate is nobody. ----

borrow() { cp "$data/tls/node-$1.pem" "$work/own.pem" && cp "$data/tls/node-$2.pem" "$data/tls/node-$1.pem"; }
give_back() { mv "$work/own.pem" "$data/tls/node-$1.pem"; }
any_log() { cat "$data"/node-*/log | grep -F -- "$1"; } # TEXT

cluster kill 3
borrow 3 2
begin_start
await 60 'the impostor is not refused' any_log \
  'a controller says that it is node 3 and has shown the certificate of millrace://local/node/2'
await 60 'who connects to the impostor does not see it' any_log 'wrong certificate: expected millrace://local/node/3'
await 60 'the impostor does not know it by itself' grep 'the certificate is not this node' "$data/node-3/log"
await 60 'the impostor is not told' grep 'a peer does not take part in this quorum' "$data/node-3/log"
ask topic create without-3 >/dev/null || fail 'the others do not go on'
cluster kill 3 2>/dev/null || true
wait "$starter" || true
give_back 3
bring_back 'controller 3, with its own certificate,'
await 60 'controller 3 does not catch up' quorum_holds 'all(m["lag"] == 0 for m in it["members"] if m["role"] == "voter")'

cluster kill 103
borrow 103 102
begin_start
await 60 'the false broker is not refused' any_log \
  'a node says that it is node 103 and has shown the certificate of millrace://local/node/102'
cluster kill 103 2>/dev/null || true
wait "$starter" || true
give_back 103
bring_back 'broker 103, with its own certificate,'
await 60 'broker 103 does not come back in sync' in_sync events
cluster stop || fail 'the nodes do not stop cleanly'
