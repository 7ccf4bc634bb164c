#!/usr/bin/env bash
# An OAuth 2 server (PKCE, rotation, revocation) on 127.0.0.1:${PORT:-3100}, people firma and kundin with the password pw. Installed from its
# lock into an environment of its own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../../.." && pwd)
state=${COUNTERPARTS_DIR:-$root/.cache/counterparts}; lock=$root/requirements/oauth-server.txt
venv=$state/oauth-$(sha256sum "$lock" | cut -c1-12); port=${PORT:-3100}
if [ ! -e "$venv/installed" ]; then
  rm -rf "$venv"; mkdir -p "$state"
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  touch "$venv/installed"
fi
data=$(mktemp -d); trap 'rm -rf "$data"; kill "$server" 2> /dev/null' EXIT
trap 'exit 0' TERM INT
sed "s/PORT/$port/g" "$here/settings.yaml" > "$data/settings.yaml"; cp "$here/users.yaml" "$data/"
cd "$data"
"$venv/bin/nanoidp" --config "$data" --host 127.0.0.1 --port "$port" --profile oauth21 --strict-config &
server=$!
wait "$server"
