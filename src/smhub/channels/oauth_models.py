"""What an authorisation leaves behind: the organisation's apps, the questions that are open, and the tokens. No secret stands here."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Index, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to
from smhub.text import clean_text

CANDIDATE, ACTIVE, LOST, ENDED = "candidate", "active", "lost", "ended"
LONGEST_REASON = 1000


class OAuthApp(Versioned, OrganisationRow):
    """The organisation's app at a network, as registered there. `server` is an origin where a network has many, else empty."""

    __tablename__ = "core_oauth_app"
    __table_args__ = (belongs_to_organisation(), UniqueConstraint("organisation_id", "network", "server"))

    network: Mapped[str]
    server: Mapped[str]
    client_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class OAuthState(OrganisationRow):
    """A person was sent to a network and is expected back, once. `sealed` is the verifier of PKCE."""

    __tablename__ = "core_oauth_state"
    __table_args__ = (
        refers_to("core_channel", "channel_id", on_delete="CASCADE"),
        refers_to("core_member", "member_id", on_delete="CASCADE"),
        UniqueConstraint("id"),
        Index("ix_core_oauth_state_expires_at", "expires_at"),
    )

    channel_id: Mapped[UUID]
    member_id: Mapped[UUID]
    api_key_id: Mapped[UUID]
    state_hash: Mapped[str]
    client_id: Mapped[str]
    redirect_url: Mapped[str]
    key_id: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None]


class OAuthToken(OrganisationRow):
    """What a network gave us for a channel; the tokens themselves lie in core_secret.

    `state`: candidate (whose account is not known yet), active, lost (a person has to authorise again; `reason`), ended (to be given
    back). `token_url` and `home` are the addresses that it was given for: it goes nowhere else. `generation` counts renewals.
    `refresh_id` and `refreshing_until` are the lease of whoever renews it; `unclear`: a renewal may have been answered without us
    knowing. `on_trial`: its predecessor was refused, and it was not accepted yet.
    """

    __tablename__ = "core_oauth_token"
    __table_args__ = (
        refers_to("core_channel", "channel_id", on_delete="CASCADE"),
        Index("ix_core_oauth_token_channel", "organisation_id", "channel_id"),
    )

    channel_id: Mapped[UUID]
    member_id: Mapped[UUID]
    state: Mapped[str]
    reason: Mapped[str | None]
    client_id: Mapped[str]
    server: Mapped[str]
    token_url: Mapped[str]
    revoke_url: Mapped[str | None]
    home: Mapped[str]
    scopes: Mapped[list[str]]
    generation: Mapped[int] = mapped_column(Integer, default=0)
    obtained_at: Mapped[datetime] = mapped_column(UtcDateTime)
    renew_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    refresh_id: Mapped[UUID | None]
    refreshing_until: Mapped[datetime | None]
    unclear: Mapped[bool] = mapped_column(Boolean, default=False)
    on_trial: Mapped[bool] = mapped_column(Boolean, default=False)

    def is_refreshed_by(self, refresh_id: UUID, until: datetime) -> None:
        """Somebody is about to ask the network: from now on nobody knows which token it will take."""
        self.refresh_id, self.refreshing_until, self.unclear = refresh_id, until, True

    def is_free(self, *, unclear: bool) -> None:
        """Nobody renews it any more."""
        self.refresh_id = self.refreshing_until = None
        self.unclear = unclear

    def was_lost(self, reason: str) -> None:
        """The network takes it no more: a person has to authorise again."""
        self.state, self.reason = LOST, clean_text(reason, LONGEST_REASON)
        self.is_free(unclear=False)
