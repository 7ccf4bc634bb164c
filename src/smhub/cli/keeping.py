"""What `backup` and `restore` print."""

from __future__ import annotations

import click

from smhub.app.backing_up import Written
from smhub.app.restoring import Restored


def show_backup(written: Written) -> None:
    """Where it is, and what one needs beside it."""
    shown = ", ".join(f"{owner} {revision}" for owner, revision in written.revisions.items())
    click.echo(f"Wrote {written.file}: {written.size:,} bytes, schema {shown}.")
    click.echo("Secrets in it are encrypted with SMHUB_SECRET_KEYS, which are not in it: keep them separately.")


def show_restored(done: Restored) -> None:
    """What is there again, what is unclear, and what a person has to look at."""
    unclear = done.unclear
    lines = [f"Restored from a backup of {done.backup_at:%Y-%m-%d %H:%M:%S} UTC; epoch {done.epoch} begins."]
    lines += [f"What was there before is kept: {done.kept}. Take it away when all is well."] if done.kept else []
    lines += [f"Migrated {one}." for one in done.migrated]
    lines += [
        f"Deliveries that may have gone out since: {unclear.looked_for + unclear.for_people}. The hub looks for {unclear.looked_for} itself, "
        f"{unclear.for_people} wait for a person (GET /v1/deliveries?state=unknown).",
        "Everything else is as it was then. Before you start the hub, or soon after:",
        "- API keys that were revoked since are valid again, members that were disabled may come in again: revoke and disable them anew.",
        "- Drafts, and what was refused or too late, may be out since then: look before you queue one.",
        "- What was cancelled, changed or held since is not: GET /v1/deliveries shows what is going to be said.",
        "Now run `smhub doctor`, which says whether the secrets can be opened, and start the hub.",
    ]
    click.echo("\n".join(lines))
