#!/usr/bin/env bash
# Mastodon's API with a memory, on 127.0.0.1:${PORT:-3000}. Installed from its lock into an environment of its own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../../.." && pwd)
state=${COUNTERPARTS_DIR:-$root/.cache/counterparts}; lock=$root/requirements/mastodon-mock.txt
venv=$state/mastodon-$(sha256sum "$lock" | cut -c1-12)
if [ ! -e "$venv/installed" ]; then
  rm -rf "$venv"; mkdir -p "$state"
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  touch "$venv/installed"
fi
exec "$venv/bin/mastodon_mock" serve --config "$here/mock.toml" --in-memory --host 127.0.0.1 --port "${PORT:-3000}" --log-level warning
