#!/usr/bin/env bash
# A Matrix homeserver on 127.0.0.1:${PORT:-8008}: Synapse with SQLite, without federation, its usual rate limits left on. Installed
# from its lock into an environment of its own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../../.." && pwd)
state=${COUNTERPARTS_DIR:-$root/.cache/counterparts}; lock=$root/requirements/matrix-server.txt; data=$state/matrix
venv=$state/matrix-$(sha256sum "$lock" | cut -c1-12)
if [ ! -e "$venv/installed" ]; then
  rm -rf "$venv"; mkdir -p "$state"
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  touch "$venv/installed"
fi
mkdir -p "$data"; cd "$data"
if [ ! -f homeserver.yaml ]; then
  "$venv/bin/python" -m synapse.app.homeserver --server-name localhost --config-path homeserver.yaml --generate-config --report-stats=no > /dev/null
fi
cat > overlay.yaml <<Y
listeners: [{port: ${PORT:-8008}, bind_addresses: ['127.0.0.1'], type: http, tls: false, x_forwarded: false, resources: [{names: [client], compress: false}]}]
trusted_key_servers: []
suppress_key_server_warning: true
registration_shared_secret: smhub-test
enable_registration: true
enable_registration_without_verification: true
federation_domain_whitelist: []
presence: {enabled: false}
Y
exec "$venv/bin/python" -m synapse.app.homeserver -c homeserver.yaml -c overlay.yaml
