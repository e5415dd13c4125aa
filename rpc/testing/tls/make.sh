#!/usr/bin/env bash
# Makes the certificates beside this file, which tests of TLS use; their keys are known to all. They are valid from long
# ago for a hundred years: a machine that runs the tests may have another idea of today than the one that made them.
set -euo pipefail
cd "$(dirname "$0")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

touch "$work/issued"
cat >"$work/authority.conf" <<CONF
[ca]
default_ca = tests
[tests]
database = $work/issued
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any_name
[any_name]
commonName = supplied
CONF

new_key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt; }
sign() { # KEY SUBJECT EXTENSION OPTION...: prints the certificate of KEY
  openssl req -new -key "$1" -subj "$2" -out "$work/request"
  printf '%s\n' "$3" >"$work/extensions"
  openssl ca -batch -notext -config "$work/authority.conf" -in "$work/request" -extfile "$work/extensions" \
    -startdate 20200101000000Z -enddate 21200101000000Z "${@:4}" 2>/dev/null
}
authority() { # NAME
  new_key >"$work/$1.key"
  sign "$work/$1.key" "/CN=$1" basicConstraints=critical,CA:TRUE -selfsign -keyfile "$work/$1.key" >"$1.pem"
}
certificate() { # AUTHORITY NAME ALTERNATIVE-NAMES: key and certificate in one file
  new_key >"$work/key"
  sign "$work/key" "/CN=$2" "subjectAltName=$3" -cert "$1.pem" -keyfile "$work/$1.key" >"$work/certificate"
  cat "$work/key" "$work/certificate" >"$2.pem"
}

authority authority
authority stranger
readonly here='IP:127.0.0.1,IP:::1,DNS:localhost'
certificate authority node1 "URI:millrace://test/node/1,$here"
certificate authority node2 "URI:millrace://test/node/2,$here"
certificate authority elsewhere2 "URI:millrace://elsewhere/node/2,$here"
certificate authority alice "DNS:alice.example"
certificate stranger stranger1 "URI:millrace://test/node/1,$here"
