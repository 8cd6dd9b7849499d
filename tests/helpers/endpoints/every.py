"""What AquaMind's endpoints need for a sensible answer, by app."""

from __future__ import annotations

from tests.helpers.endpoints.batches import BATCHES
from tests.helpers.endpoints.environment import ENVIRONMENT
from tests.helpers.endpoints.harvest import HARVEST
from tests.helpers.endpoints.health import HEALTH
from tests.helpers.endpoints.infrastructure import INFRASTRUCTURE
from tests.helpers.endpoints.inventory import INVENTORY
from tests.helpers.endpoints.planning import PLANNING
from tests.helpers.endpoints.scenario import SCENARIO

ENDPOINTS = (
    *HEALTH,
    *BATCHES,
    *SCENARIO,
    *PLANNING,
    *INVENTORY,
    *HARVEST,
    *ENVIRONMENT,
    *INFRASTRUCTURE,
)
