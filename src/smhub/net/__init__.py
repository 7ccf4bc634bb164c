"""The only way out to the internet: guarded addresses, bounded answers, shared budgets, one mapping of statuses to errors."""

from smhub.net.budgets import Budgets, Storage
from smhub.net.client import Client, Fence, NoAnswer
from smhub.net.grants import Endpoint, Grant, GrantRefused, refuse_in_clear
from smhub.net.guard import AddressRefused, AllowList, Resolver, is_public
from smhub.net.http import ConnectorHttp, Credentials
from smhub.net.models import RateBudget
from smhub.net.out import Net

__all__ = [
    "AddressRefused",
    "AllowList",
    "Budgets",
    "Client",
    "ConnectorHttp",
    "Credentials",
    "Endpoint",
    "Fence",
    "Grant",
    "GrantRefused",
    "Net",
    "NoAnswer",
    "RateBudget",
    "Resolver",
    "Storage",
    "is_public",
    "refuse_in_clear",
]
