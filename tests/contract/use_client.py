"""What a customer writes with the generated Python client. Run by the tests: `use_client.py happy|future URL KEY`."""

from __future__ import annotations

import sys

from smhub_client import AuthenticatedClient
from smhub_client.api.channels import list_channels
from smhub_client.api.departments import add_department, list_departments
from smhub_client.api.events import list_events
from smhub_client.api.hub import get_me, list_networks, list_plugins
from smhub_client.api.mentions import list_mentions
from smhub_client.api.work import list_jobs, list_operations
from smhub_client.models import DepartmentInfo, Departments, Me, Mentions, NewDepartment, Problem


def happy(client: AuthenticatedClient) -> None:
    me = get_me.sync(client=client)
    assert isinstance(me, Me) and "departments:write" in me.permissions
    made = add_department.sync(client=client, body=NewDepartment(name="Service", slug="service"))
    assert isinstance(made, DepartmentInfo) and made.created_at.tzinfo is not None
    found = list_departments.sync(client=client, limit=10)
    assert isinstance(found, Departments) and [one.id for one in found.items] == [made.id]
    again = add_department.sync(client=client, body=NewDepartment(name="Service", slug="service"))
    assert isinstance(again, Problem) and again.code == "already_exists"
    mentions = list_mentions.sync(client=client, q="network:feeds")
    assert isinstance(mentions, Mentions) and mentions.items == []


def future(client: AuthenticatedClient) -> None:
    mentions = list_mentions.sync(client=client)
    assert isinstance(mentions, Mentions) and mentions.items[0].network == mentions.items[0].state == "from-the-future"
    assert mentions.items[0].additional_properties["new_field"]
    for answer in (
        get_me.sync(client=client),
        list_channels.sync(client=client),
        list_departments.sync(client=client),
        list_events.sync(client=client),
        list_jobs.sync(client=client),
        list_networks.sync(client=client),
        list_operations.sync(client=client),
        list_plugins.sync(client=client),
    ):
        assert answer is not None and not isinstance(answer, Problem)


if __name__ == "__main__":
    {"happy": happy, "future": future}[sys.argv[1]](
        AuthenticatedClient(base_url=sys.argv[2], token=sys.argv[3], raise_on_unexpected_status=True)
    )
