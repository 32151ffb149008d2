"""Providers on loopback whose certificates are trusted."""

from pathlib import Path

import pytest

from tests.kit.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    authority = Authority(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority
