#!/usr/bin/env bash
# IMAP (Dovecot) on 127.0.0.1:1143 and SMTP (aiosmtpd) on 127.0.0.1:1025 over one Maildir. User firma, password pw. Needs root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../../.." && pwd)
state=${COUNTERPARTS_DIR:-$root/.cache/counterparts}; venv=$state/mail-venv; data=$state/mail
mkdir -p "$data"/run "$data"/Maildir/{cur,new,tmp}
chown -R mail:mail "$data/Maildir"; chmod -R a+rwX "$data"
[ -x /usr/sbin/dovecot ] || apt-get install -y -q dovecot-imapd > /dev/null
if [ ! -e "$venv/installed" ]; then
  rm -rf "$venv"
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'aiosmtpd==1.4.6'
  touch "$venv/installed"
fi
cat > "$data/dovecot.conf" <<C
base_dir = $data/run
log_path = $data/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:$data/Maildir
first_valid_uid = 1
default_login_user = dovenull
default_internal_user = dovecot
passdb {
  driver = static
  args = password=pw
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$data
}
service imap-login {
  inet_listener imap {
    port = 1143
  }
  inet_listener imaps {
    port = 0
  }
}
C
dovecot -c "$data/dovecot.conf"
trap 'doveadm -c "$data/dovecot.conf" stop' EXIT
umask 000; cd "$data"
setpriv --reuid mail --regid mail --clear-groups "$venv/bin/python" -m aiosmtpd -n -l 127.0.0.1:1025 -c aiosmtpd.handlers.Mailbox "$data/Maildir" &
smtp=$!
trap 'kill "$smtp" 2> /dev/null; doveadm -c "$data/dovecot.conf" stop' EXIT
trap 'exit 0' TERM INT
wait "$smtp"
