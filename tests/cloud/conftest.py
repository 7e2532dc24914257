"""One emulated AWS for all tests, and what it said where one fails."""

import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import trustme
from sqlalchemy.engine import URL

from tests.cloud.emulated import ACCOUNT, CREDENTIALS, REGION, Cloud, emulated_cloud
from tests.cloud.place import Place, empty_place
from tests.stand_ins.rds import Rds, serving

LINES = 100


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and what it signed for localhost, certificate.pem and key.pem; named-.. for a load balancer."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, prefix in (("localhost", ""), ("api.example.com", "named-")):
        issued = authority.issue_cert(name)
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{prefix}certificate.pem"))
        issued.private_key_pem.write_to_path(str(folder / f"{prefix}key.pem"))
    return folder


@pytest.fixture(scope="session")
def rds(server: URL, certificates: Path) -> Iterator[Rds]:
    """The tests' PostgreSQL, behind the sign-in of RDS."""
    if server.password:
        pytest.skip("the stand-in's PostgreSQL has to trust it")
    files = str(certificates / "certificate.pem"), str(certificates / "key.pem")
    target = f"{server.query.get('host') or server.host}:{server.port or 5432}"
    with serving(Rds(*files, target, {ACCOUNT: CREDENTIALS["AWS_SECRET_ACCESS_KEY"]}, REGION)) as rds:
        yield rds


@pytest.fixture(scope="session")
def cloud(rds: Rds, certificates: Path) -> Iterator[Cloud]:
    """`rds` is where a DBInstance says that it is, and functions trust its certificate."""
    trusted = {"PGSSLROOTCERT": str(certificates / "ca.pem")}
    with emulated_cloud(f"localhost:{rds.server_address[1]}", trusted) as cloud:
        yield cloud


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    used = getattr(item, "funcargs", {}).get("cloud")
    if report.failed and isinstance(used, Cloud):
        said = used.log.read_text(errors="replace").splitlines()[-LINES:]
        report.sections.append(("the emulated AWS", "\n".join(said)))
    return report


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Place]:
    with empty_place(tmp_path_factory.mktemp("place"), certificates) as place:
        yield place


@pytest.fixture(scope="session")
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """What takes long says where it is: on standard error, which a worker of pytest-xdist has, too."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def said(step: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  {step} ..", file=sys.stderr, flush=True)  # noqa: T201  # its purpose

    return said
