"""The only way out to the internet: guarded addresses, bounded answers, shared budgets, one mapping of statuses to errors."""

from smhub.net.budgets import Budgets, Storage
from smhub.net.client import Client, Fence, NoAnswer
from smhub.net.grants import Endpoint, Grant, GrantRefused, refuse_in_clear
from smhub.net.guard import AddressRefused, AllowList, Resolver, is_public
from smhub.net.http import Credentials
from smhub.net.inside import Asked, Hear, Inside, client_inside
from smhub.net.listening import ConnectorHttp
from smhub.net.models import RateBudget
from smhub.net.out import Net
from smhub.net.sessions import SessionInHand, Shown, next_session

__all__ = [
    "AddressRefused",
    "AllowList",
    "Asked",
    "Budgets",
    "Client",
    "ConnectorHttp",
    "Credentials",
    "Endpoint",
    "Fence",
    "Grant",
    "GrantRefused",
    "Hear",
    "Inside",
    "Net",
    "NoAnswer",
    "RateBudget",
    "Resolver",
    "SessionInHand",
    "Shown",
    "Storage",
    "client_inside",
    "is_public",
    "next_session",
    "refuse_in_clear",
]
