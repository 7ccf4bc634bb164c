"""All routes of channels, listeners and intakes."""

from smhub.channels import actions, channels_api, intakes_api, listeners_api

JOBS = (actions.VERIFY,)
ROUTES = [*channels_api.ROUTES, *listeners_api.ROUTES, *intakes_api.ROUTES]
