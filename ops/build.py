"""`make build`: the one artifact that every function runs; the same bytes from the same Python 3.13.x."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

from ops import environment
from ops.environment import ROOT
from ops.size import megabytes
from ops.terminal import fail, say
from ops.tools import PYTHON, environment_of, uv

# Lambda's Python 3.13 runs on Amazon Linux 2023, whose glibc is 2.34 (release notes of
# dhrimov/package-python-lambda-gha v1.1.0, October 2026)
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
# what an import at run time never reads; Redoc lies beside the Swagger UI that /docs serves
LEFT_OUT = (
    "**/__pycache__ **/tests **/.agents sqlalchemy/testing alembic/testing mako/testing **/*.pyi "
    "**/RECORD **/INSTALLER **/REQUESTED **/redoc.standalone.js bin .lock"
)


def build() -> None:
    """For ARCH=arm64 or x86_64, into dist/lambda-ARCH and its zip; for `sam build`, where it wants it.

    A fault ends the program.
    """
    if wanted := os.environ.get("ARTIFACTS_DIR"):
        built = filled(sam_architecture(Path(wanted)))
        shutil.copytree(built, wanted, copy_function=os.link, dirs_exist_ok=True)  # 70 MB, twice
        name_release()
        return
    architecture = os.environ.get("ARCH") or "arm64"
    if architecture not in PLATFORMS:
        fail(f"ARCH={architecture} is not known to Lambda; ARCH is arm64 or x86_64")
    folder = filled(architecture)
    archive = folder.with_suffix(".zip")
    pack(folder, archive)
    list_parts("requirements.txt", archive.with_suffix(".cdx.json"))
    list_parts("requirements/container.txt", ROOT / "dist" / "container.cdx.json")
    report(folder, archive)


def sam_architecture(artifacts: Path) -> str:
    """What the template asks for. SAM does not tell its makefile builds, but notes it beside them."""
    notes = tomllib.loads((artifacts.parents[1] / "build.toml").read_text())
    [architecture] = {note["architecture"] for note in notes["function_build_definitions"].values()}
    return str(architecture)


def name_release() -> None:
    """For `sam deploy`, whose parameters samconfig.toml takes from this file: each build is a release."""
    known = environment.commit()
    commit = known if known != "unknown" else "0" * 12
    (ROOT / "dist" / "release.yaml").write_text(f"ReleaseId: {int(time.time())}-{commit}\n")


def filled(architecture: str) -> Path:
    """The artifact's folder, made anew where the sources changed: SAM asks for each of its functions."""
    folder = ROOT / "dist" / f"lambda-{architecture}"
    folder.parent.mkdir(exist_ok=True)
    stamp, now = folder.with_suffix(".stamp"), sources()
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists() or not stamp.exists() or stamp.read_text() != now:
            refuse_hazards()
            stamp.unlink(missing_ok=True)
            fill(folder, PLATFORMS[architecture])
            stamp.write_text(now)
    return folder


def refuse_hazards() -> None:
    """In a process of its own, so that a build with nothing to do never imports Alembic."""
    where = os.environ | {"PYTHONPATH": "src"}
    done = subprocess.run([sys.executable, "-m", "ops", "hazards"], cwd=ROOT, env=where, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def sources() -> str:
    """A hash of all that an artifact is made of."""
    found = hashlib.sha256()
    files = [file for name in ("src/app", "migrations") for file in (ROOT / name).rglob("*")]
    for file in sorted([ROOT / "requirements.txt", Path(__file__), *files]):
        if file.is_file() and "__pycache__" not in file.parts:
            found.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return found.hexdigest()


def fill(folder: Path, platform: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    say(f"Installing requirements.txt for {platform}, Python {PYTHON}")
    options = "--quiet --no-deps --require-hashes --only-binary :all: --link-mode copy"
    target = ["--python-version", PYTHON, "--python-platform", platform, "--target", str(folder)]
    uv("pip", "install", *options.split(), *target, "-r", "requirements.txt")
    for name in ("src/app", "migrations"):
        shutil.copytree(ROOT / name, folder / Path(name).name, ignore=shutil.ignore_patterns(".*", "*~"))
    for pattern in LEFT_OUT.split():
        for path in sorted(folder.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    compile_all(folder)


def compile_all(folder: Path) -> None:
    """Ahead of time: /var/task is read-only, so that each cold start would compile anew.

    Unchecked hashes (PEP 552) need no time stamp, which a zip archive would not keep.
    """
    say("Compiling")
    python = uv("python", "find", "--system", PYTHON).strip()
    options = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/var/task"]
    fixed = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
    subprocess.run([python, "-m", "compileall", *options, str(folder)], env=fixed, check=True)


def pack(folder: Path, archive: Path) -> None:
    """Sorted, and without the time, the owner and the mode that this machine gives."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(str(path.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o100644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                made.writestr(entry, path.read_bytes(), compresslevel=9)


def report(folder: Path, archive: Path) -> None:
    """Sizes in MB of 10^6 bytes: zipped, unzipped, and the ten largest parts."""
    parts = {path.name: megabytes(path) for path in folder.iterdir()}
    say(f"\n{megabytes(archive):6.1f} MB  {archive.relative_to(ROOT)}")
    say(f"{sum(parts.values()):6.1f} MB  unzipped, of which")
    for name in sorted(parts, key=lambda part: -parts[part])[:10]:
        say(f"{parts[name]:6.1f} MB    {name}")


def list_parts(requirements: str, file: Path) -> None:
    """A software bill of materials (CycloneDX), the same bytes each time."""
    command = [str(environment_of("sbom") / "bin" / "cyclonedx-py"), "requirements", requirements]
    subprocess.run([*command, "--output-reproducible", "-o", str(file)], cwd=ROOT, check=True)
    say(f"SBOM: {file.relative_to(ROOT)}")
