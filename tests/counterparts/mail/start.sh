#!/usr/bin/env bash
# IMAP and SMTP over one mailbox, on free ports of 127.0.0.1 that http://127.0.0.1:${PORT:-3200} tells. Installed from its lock, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../../.." && pwd)
state=${COUNTERPARTS_DIR:-$root/.cache/counterparts}; lock=$root/requirements/mail-server.txt
venv=$state/mail-$(sha256sum "$lock" | cut -c1-12)
if [ ! -e "$venv/installed" ]; then
  rm -rf "$venv"; mkdir -p "$state"
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  touch "$venv/installed"
fi
exec "$venv/bin/python" "$here/post.py"
