#!/usr/bin/env bash
# Fills deploy/secrets/ for docker-compose.yml: a password of PostgreSQL and the URL with it, made once; and from
# KUBECONFIG (default ~/.kube/config) and GITHUB_TOKEN the other two, replaced each time they are given.
set -euo pipefail
cd "$(dirname "$0")/secrets"
chmod 0700 .
# Readable inside the containers, whose users have other ids; on this machine the directory keeps others out.
umask 0022
if [ ! -s postgres_password ]; then
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >postgres_password
  printf 'postgresql://resetd:%s@postgres:5432/resetd' "$(cat postgres_password)" >database_url
fi
config=${KUBECONFIG:-$HOME/.kube/config}
[ ! -r "$config" ] || cat "$config" >kubeconfig
[ -z "${GITHUB_TOKEN:-}" ] || printf %s "$GITHUB_TOKEN" >github_token
for name in postgres_password database_url kubeconfig github_token; do
  [ -s "$name" ] || { echo "deploy/secrets/$name is missing: give KUBECONFIG and GITHUB_TOKEN" >&2; exit 1; }
done
