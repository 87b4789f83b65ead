"""What tests of the sender need beside an endpoint."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 127.0.0.1 and clinic.invalid, signed by itself; certificate and key in one file."""
    path = tmp_path_factory.mktemp("tls") / "endpoint.pem"
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=endpoint"
        f" -addext subjectAltName=IP:127.0.0.1,DNS:clinic.invalid -keyout {path}.key -out {path}".split(),
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.key").read_text())
    return path
