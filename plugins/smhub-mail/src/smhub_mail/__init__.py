"""E-mail: IMAP to read, SMTP to answer."""
