"""What is shipped, installed as deploy/install does it: an environment of its own, and code that nobody may change."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
_RUNS = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"


class Shipped(NamedTuple):
    """The wheel, the sdist that it was made of, where it was installed, and the account that runs it."""

    sdist: Path
    wheel: Path
    environment: Path
    account: pwd.struct_passwd | None  # None: ours, which is not root's

    def program(self, name: str = "pumpwatch") -> Path:
        return self.environment / "bin" / name

    def command(self, *words: object) -> list[str]:
        """`pumpwatch` with these words, as the unprivileged account."""
        return [*as_account(self.account), str(self.program()), *map(str, words)]


def as_account(account: pwd.struct_passwd | None) -> list[str]:
    if account is None:
        return []
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--no-new-privs"]


@pytest.fixture(scope="session")
def shipped() -> Iterator[Shipped]:
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    python = _python_of(account)
    if python is None:
        pytest.skip("no Python here that an account other than root may run")
    # Where any account can come to: pytest's own directories are open to ours alone.
    with TemporaryDirectory(prefix="pumpwatch-shipped-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        built, environment = Path(directory, "built"), Path(directory, "environment")
        _run([sys.executable, "-m", "build", "--quiet", "--outdir", built, ROOT])
        (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
        _run([ROOT / "deploy/install", environment, wheel], PYTHON=str(python))
        _run(["chmod", "-R", "a+rX,a-w", environment])
        yield Shipped(sdist, wheel, environment, account)
        _run(["chmod", "-R", "u+w", environment])


def _python_of(account: pwd.struct_passwd | None) -> Path | None:
    """Ours, or that of the system where ours is root's alone."""
    for python in filter(None, (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin"))):
        # By a shell, since setpriv itself still finds its way to what is root's.
        command = [*as_account(account), "sh", "-c", 'exec "$0" -c "$1"', python, _RUNS]
        asked = subprocess.run(command, capture_output=True, cwd="/", check=False)
        if asked.returncode == 0:
            return Path(python)
    return None


def _run(command: list[object], **environment: str) -> None:
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout
