#!/usr/bin/env bash
# Makes the certificates beside this file, which tests of TLS use: valid for a hundred years, their keys known to all.
set -euo pipefail
cd "$(dirname "$0")"

new_key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt; }
authority() { # NAME
  new_key >"$1.key"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 36500 -out "$1.pem"
}
certificate() { # AUTHORITY NAME SUBJECT ALTERNATIVE-NAMES: key and certificate in one file
  new_key >key
  openssl req -new -key key -subj "$3" -out request
  printf 'subjectAltName=%s\n' "$4" >extensions
  openssl x509 -req -in request -CA "$1.pem" -CAkey "$1.key" -CAcreateserial -days 36500 -extfile extensions \
    -out certificate
  cat key certificate >"$2.pem"
  rm -f key request extensions certificate
}

authority authority
authority stranger
readonly here='IP:127.0.0.1,IP:::1,DNS:localhost'
certificate authority node1 /CN=node1 "URI:millrace://test/node/1,$here"
certificate authority node2 /CN=node2 "URI:millrace://test/node/2,$here"
certificate authority elsewhere2 /CN=elsewhere2 "URI:millrace://elsewhere/node/2,$here"
certificate authority alice /CN=alice "DNS:alice.example"
certificate stranger stranger1 /CN=stranger1 "URI:millrace://test/node/1,$here"
rm -f ./*.key ./*.srl
