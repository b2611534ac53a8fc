"""The deployments table: what Slipway remembers, and the conditional moves on it.

One DynamoDB table, primary key `pk` + `sk`, TTL attribute `expires` (seconds since the epoch).
No scans; each access pattern is a key or one partition:

| rows | pk | sk | read as |
|---|---|---|---|
| want | `WANT` | pipeline, or pipeline + `#` + request id for a named target | all at once |
| host | `HOST` | instance id | all at once |
| lock | `LOCK` | pipeline | one; all at once |
| pipeline | `PIPELINE` | pipeline | one; all at once |
| alert | `ALERT` | kind + `#` + subject | all at once |
| deployment | `DEPLOYMENT#` + pipeline | deployment id | one; by ids; newest first; since a time |
| settled | `SETTLED#` + request id | `-` | by ids |
| pointer | `REQUEST#` + request id | `-` | by ids: which deployment works on a request |
| attempts | `ATTEMPTS#` + request id | `-` | one |
| notice | `NOTICE#` + notice id | `-` | one |
| pending request | `PENDING` | pipeline + `#` + request id | all at once; of one pipeline |
| builder | `BUILDER` | pipeline | one; all at once |

Each module holds one kind of row: the dataclass, and the moves on it as methods that say in their
names what they mean. A move that loses its race answers False or None; it never raises for that.
Times are seconds since the epoch and come in as `now`: nothing here looks at a clock.
"""

from __future__ import annotations

from typing import Any

from slipway.contracts.table.alerts import Alerts
from slipway.contracts.table.builders import Builders
from slipway.contracts.table.deployments import Deployments
from slipway.contracts.table.following import Following
from slipway.contracts.table.hosts import Hosts
from slipway.contracts.table.locks import Locks
from slipway.contracts.table.notices import Notices
from slipway.contracts.table.pending import Pending
from slipway.contracts.table.pipelines import Pipelines
from slipway.contracts.table.requests import Requests
from slipway.contracts.table.store import Store
from slipway.contracts.table.unbegun import Unbegun
from slipway.contracts.table.wants import Wants


class Table:
    """All rows of one installation; `client` is boto3's low-level DynamoDB client."""

    def __init__(self, client: Any, name: str) -> None:
        self.store = Store(client, name)
        self.wants = Wants(self.store)
        self.requests = Requests(self.store)
        self.hosts = Hosts(self.store)
        self.locks = Locks(self.store)
        self.pipelines = Pipelines(self.store)
        self.deployments = Deployments(self.store)
        self.following = Following(self.store)
        self.unbegun = Unbegun(self.store)
        self.alerts = Alerts(self.store)
        self.notices = Notices(self.store)
        self.pending = Pending(self.store)
        self.builders = Builders(self.store)
