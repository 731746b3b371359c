#!/bin/sh
# Makes what the overlay reads from `files`: an authority, two certificates for ten years, a token for who sends audit
# records (of the cluster that the collector names), and the key of continue tokens. Files that are there stay as they are.
#
#     ./make-files.sh http://user:password@clickhouse:8123/activity
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p files
cd files

new_key() { openssl ecparam -genkey -name prime256v1 -noout -out "$1"; }
random() { openssl rand -hex 32; }

if [ ! -e ca.crt ]; then
  new_key ca.key
  openssl req -x509 -new -key ca.key -days 3650 -subj /CN=activity-authority -out ca.crt
fi

for server in apiserver collector; do
  [ -e "$server.crt" ] && continue
  name=activity-$server.activity-system.svc
  new_key "$server.key"
  openssl req -new -key "$server.key" -subj "/CN=$name" -out "$server.csr"
  printf 'subjectAltName=DNS:%s,DNS:%s.cluster.local\nextendedKeyUsage=serverAuth\n' "$name" "$name" > "$server.ext"
  openssl x509 -req -in "$server.csr" -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -days 3650 \
    -extfile "$server.ext" -out "$server.crt"
  rm "$server.csr" "$server.ext"
done

[ -e audit-tokens.yaml ] || printf -- '- token: %s\n' "$(random)" > audit-tokens.yaml
[ -e cursor.key ] || random > cursor.key
[ -e clickhouse.env ] || printf 'CLICKHOUSE_URL=%s\n' "${1:-http://default@clickhouse:8123/activity}" > clickhouse.env
