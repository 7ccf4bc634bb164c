"""A bot on Telegram: what people write to it and where it is, and answers to them."""
