"""What the pipelines' tests share."""

import os
import shutil

import pytest

from tests.pipelines.jenkins import Jenkins


@pytest.fixture(scope="session")
def jenkins(tmp_path_factory: pytest.TempPathFactory) -> Jenkins:
    """A model of Jenkins, in Groovy; where MUST_RUN names groovy, its absence is a failure."""
    missing = ", ".join(name for name in ("java", "groovy", "groovyc") if not shutil.which(name))
    if missing:
        assert "groovy" not in os.environ.get("MUST_RUN", ""), f"not there: {missing}"
        pytest.skip(f"needs Groovy and its Java, as Debian's package groovy has them; not there: {missing}")
    return Jenkins(tmp_path_factory.mktemp("jenkins"))
