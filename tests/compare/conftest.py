"""A server that a comparison in a bucket needs."""

from __future__ import annotations

from tests.storage.conftest import seaweed_root as seaweed_root
from tests.storage.conftest import seaweed_server as seaweed_server
