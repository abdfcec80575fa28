"""Where the embedded servers lie and how they are configured."""

import socket
import stat
from pathlib import Path

import pytest

from services.local import servers
from services.local.servers import Postgres, Redis, ServerError, free_port, open_to_others, place_postgres


def _postgres(tmp_path: Path) -> Postgres:
    return Postgres(binaries=tmp_path, data=tmp_path / "postgres", sockets=tmp_path / "sockets", port=5432)


def test_a_port_that_is_listened_at_is_skipped() -> None:
    """The next free port is taken where the preferred one is in use."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: int = listener.getsockname()[1]
        assert free_port(taken) > taken


def test_a_port_that_is_promised_is_skipped() -> None:
    """Two services of one stack do not get the same port."""
    first = free_port(20_000)
    assert free_port(20_000, [first]) > first


def test_data_of_another_major_version_are_refused_with_the_way_out(tmp_path: Path) -> None:
    """The error names both versions, the dump and the restore, and the data stay as they were."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ServerError, match=r"PostgreSQL 17.*brings 18.*rookery backup.*rookery restore"):
        _postgres(tmp_path).prepare("secret")
    assert [path.name for path in (tmp_path / "postgres").iterdir()] == ["PG_VERSION"]


def test_a_folder_that_is_no_data_folder_is_not_touched(tmp_path: Path) -> None:
    """A folder with somebody's files in it is refused."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "letters").touch()
    with pytest.raises(ServerError, match="no PostgreSQL data folder"):
        _postgres(tmp_path).prepare("secret")
    assert (tmp_path / "postgres" / "letters").exists()


def test_the_lock_of_a_killed_server_is_removed_though_its_pid_lives_on(tmp_path: Path) -> None:
    """A pid that another process has by now does not keep the server from starting."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    lock = tmp_path / "postgres" / "postmaster.pid"
    lock.write_text("1\n")
    assert _postgres(tmp_path).prepare("secret") is False
    assert not lock.exists()


def test_the_configuration_binds_to_loopback_and_ends_idle_transactions(tmp_path: Path) -> None:
    """The server is reached from this machine alone, and a forgotten transaction does not block it for good."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    _postgres(tmp_path).prepare("secret")
    text = (tmp_path / "postgres" / "postgresql.conf").read_text()
    assert "listen_addresses = '127.0.0.1'" in text
    assert "idle_in_transaction_session_timeout = '5min'" in text
    assert "secret" not in text


def test_the_socket_moves_where_its_path_would_be_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Unix socket's path has at most 107 bytes, however deep the home lies."""
    monkeypatch.setattr(servers, "server_account", lambda: None)
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    placed = place_postgres(deep, 5432)
    assert len(str(placed.sockets / ".s.PGSQL.5432")) <= 107
    assert placed.data.parent == deep


def test_a_closed_parent_closes_a_folder(tmp_path: Path) -> None:
    """A folder that anybody may read is out of reach where a parent is closed."""
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    (tmp_path / "closed").chmod(0o700)
    assert not open_to_others(inner)


def test_the_password_of_redis_is_in_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    """The command line holds no password, and the file that holds it is 0600."""
    redis = Redis(folder=tmp_path / "redis", port=6379)
    redis.prepare("secret")
    file = tmp_path / "redis" / "redis.conf"
    assert 'requirepass "secret"' in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any("secret" in word for word in redis.command().argv)
    assert "secret" not in str(redis.command().env)
