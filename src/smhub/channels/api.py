"""All routes of channels, listeners, intakes and webhooks."""

from smhub.channels import channels_api, hooks_api, intakes_api, listeners_api, oauth_api

ROUTES = [*channels_api.ROUTES, *hooks_api.ROUTES, *listeners_api.ROUTES, *intakes_api.ROUTES, *oauth_api.ROUTES]
