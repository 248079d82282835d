"""What several rooms' tests share: a database server, notebook servers, child processes."""

import pytest

pytest.register_assert_rewrite("tests.support.ways")
