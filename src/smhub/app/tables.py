"""Every table of the core, imported so that they are known to the one MetaData."""

from smhub.access import models as access
from smhub.app import subscribing
from smhub.channels import models as channels
from smhub.channels import oauth_models as oauth
from smhub.db import epochs, search
from smhub.deliveries import media_models as media
from smhub.deliveries import models as deliveries
from smhub.departments import models as departments
from smhub.events import models as events
from smhub.mentions import models as mentions
from smhub.net import models as net
from smhub.organisations import models as organisations
from smhub.organisations import plugin_settings
from smhub.work import models as work

MODULES = (
    access,
    channels,
    deliveries,
    departments,
    epochs,
    events,
    media,
    mentions,
    net,
    oauth,
    organisations,
    plugin_settings,
    search,
    subscribing,
    work,
)
