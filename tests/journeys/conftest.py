"""Servers that the stories need."""

from __future__ import annotations

from tests.storage.conftest import moto_root as moto_root
from tests.storage.conftest import moto_server as moto_server
from tests.storage.conftest import seaweed_root as seaweed_root
from tests.storage.conftest import seaweed_server as seaweed_server
