"""`python -m smhub` is `smhub`."""

from smhub.cli import main

main()
