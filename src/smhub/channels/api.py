"""All routes of channels, listeners and intakes."""

from smhub.channels import channels_api, intakes_api, listeners_api, oauth_api

ROUTES = [*channels_api.ROUTES, *listeners_api.ROUTES, *intakes_api.ROUTES, *oauth_api.ROUTES]
