"""How a network lets us in when a person has to allow it: OAuth 2, declared and not coded. The hub does the rest."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import quote

import msgspec

_FIELD = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class OAuth2(msgspec.Struct, frozen=True, kw_only=True):
    """The authorisation code flow of a network (RFC 6749), with PKCE (RFC 7636) unless `pkce` is off.

    A connector that sets `auth` to this has no token in its settings: every request of its `http` to the host of `base_url` carries
    `Authorization: Bearer …`, and the hub gets, keeps and renews the token. For a network with many servers the addresses are templates
    of the settings, as in `{base_url}/oauth/authorize`; a field that does not begin the address is percent-encoded.

    `scopes` are asked for, joined by `scope_separator`. `token_endpoint_auth`: how the app proves itself (HTTP Basic, or fields of the
    form). `revoke_url` is told when a channel is disconnected (RFC 7009). The parameters are what the network wants beyond the standard.
    """

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...] = ()
    pkce: bool = True
    scope_separator: str = " "
    revoke_url: str | None = None
    token_endpoint_auth: Literal["basic", "post"] = "basic"  # noqa: S105
    authorize_parameters: dict[str, str] = {}
    token_parameters: dict[str, str] = {}

    @property
    def fields(self) -> frozenset[str]:
        """The settings that stand in the addresses."""
        return frozenset(_FIELD.findall(" ".join((self.authorize_url, self.token_url, self.revoke_url or ""))))

    def address(self, template: str, config: Any) -> str:
        """One of the addresses, with the settings put in."""

        def put(found: re.Match[str]) -> str:
            value = str(getattr(config, found[1]))
            return value.rstrip("/") if found.start() == 0 else quote(value, safe="")

        return _FIELD.sub(put, template)
