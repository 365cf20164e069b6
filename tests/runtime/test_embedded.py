"""The embedded servers against real processes that start, share, crash and leave."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from alliantra import embedded
from alliantra.embedded.folder import TREE, Folder, port_answers
from alliantra.embedded.keeper import IDLE_SECONDS, end_keeper, keeper_pid, published

PATIENCE_SECONDS = 60
VARIABLES = ("DATABASE_URL", "REDIS_URL")
CLIENT = """
import json, os, sys
from pathlib import Path
from alliantra import embedded
try:
    embedded.ensure_services(Path(sys.argv[1]))
except embedded.EmbeddedServicesError as error:
    sys.exit(str(error))
print(json.dumps({name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}), flush=True)
sys.stdin.read()
"""


class Client:
    """A process that uses the embedded servers of a folder until it is ended."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        """Start it; it may still be waiting for the servers."""
        given = {name: value for name, value in os.environ.items() if not name.startswith(VARIABLES)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(data_dir)],
            cwd=TREE,
            env=given | {"EMBEDDED_DURABLE": "0"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def urls(self) -> dict[str, str]:
        """Wait until the servers are up."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.failure()
        urls: dict[str, str] = json.loads(line)
        return urls

    def failure(self) -> str:
        """Wait until it gives up, and return what it said."""
        _, text = self.process.communicate(timeout=PATIENCE_SECONDS)
        return text

    def end(self) -> None:
        """Kill it: nothing of its own can clean up after it."""
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Client]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "data"
    yield path
    end_keeper(Folder(path))


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For tests that only look."""
    path = tmp_path_factory.mktemp("shared") / "data"
    yield path
    end_keeper(Folder(path))


@pytest.fixture
def start() -> Iterator[Start]:
    clients: list[Client] = []

    def start_client(data_dir: Path, **environment: str) -> Client:
        clients.append(Client(data_dir, **environment))
        return clients[-1]

    yield start_client
    for client in clients:
        client.end()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def answers(urls: dict[str, str]) -> bool:
    with suppress(psycopg.OperationalError, redis.ConnectionError):
        return ask(urls["DATABASE_URL"], "select 1") == 1 and ping(urls["REDIS_URL"])
    return False


def ping(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return bool(client.ping())


def postmaster(data_dir: Path) -> psutil.Process:
    lines = (data_dir / "postgresql" / "postmaster.pid").read_text().splitlines()
    return psutil.Process(int(lines[0]))


def kill_keeper(data_dir: Path) -> None:
    pid = keeper_pid(Folder(data_dir))
    assert pid
    os.kill(pid, signal.SIGKILL)


def test_both_servers_answer_with_their_generated_passwords_alone(shared_dir: Path, start: Start) -> None:
    urls = start(shared_dir).urls()

    assert answers(urls)
    for name, failure in (("DATABASE_URL", psycopg.OperationalError), ("REDIS_URL", redis.AuthenticationError)):
        password = urls[name].split("@")[0].rpartition(":")[2]
        with pytest.raises(failure):
            (ask if name == "DATABASE_URL" else lambda url, _: ping(url))(urls[name].replace(password, "x"), "select 1")
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        ask(urls["DATABASE_URL"].replace("//alliantra:", "//postgres:"), "select 1")


def test_the_role_is_bound_by_row_level_security_and_may_create_databases(shared_dir: Path, start: Start) -> None:
    url = start(shared_dir).urls()["DATABASE_URL"]

    assert ask(url, "select not (rolsuper or rolbypassrls) and rolcreatedb from pg_roles where rolname = user")
    assert ask(url, "show server_encoding") == "UTF8"
    assert ask(url, "select lower('ÄÉ')") == "äé"


def test_commits_are_durable_unless_a_test_says_otherwise(data_dir: Path, start: Start) -> None:
    url = start(data_dir, EMBEDDED_DURABLE="1").urls()["DATABASE_URL"]

    assert [ask(url, f"show {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3


def test_given_urls_win_and_nothing_is_started(data_dir: Path, start: Start) -> None:
    given = {"DATABASE_URL": "postgresql://elsewhere/x", "REDIS_URL": "redis://elsewhere/0"}

    assert start(data_dir, **given).urls() == given
    assert not data_dir.exists()


def test_one_given_url_leaves_only_the_other_server_to_start(data_dir: Path, start: Start) -> None:
    urls = start(data_dir, DATABASE_URL="postgresql://elsewhere/x").urls()

    assert ping(urls["REDIS_URL"])
    assert not (data_dir / "postgresql").exists()
    assert answers(start(data_dir).urls())


def test_processes_that_start_at_once_share_one_pair_of_servers(data_dir: Path, start: Start) -> None:
    clients = [start(data_dir) for _ in range(4)]

    first, *others = [client.urls() for client in clients]

    assert all(urls == first for urls in others)
    assert answers(first)


def test_servers_stay_for_the_last_client_and_end_after_it_was_killed(data_dir: Path, start: Start) -> None:
    folder = Folder(data_dir)
    first, last = start(data_dir), start(data_dir)
    urls, keeper = last.urls(), keeper_pid(folder)
    ports = [int(path.read_text()) for path in folder.run.glob("*.port")]

    first.urls()
    first.end()
    time.sleep(IDLE_SECONDS + 0.5)
    assert answers(urls)
    assert keeper_pid(folder) == keeper

    last.end()
    eventually(lambda: keeper_pid(folder) is None)
    assert not any(port_answers(port) for port in ports)
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()


def test_killed_servers_come_back_by_themselves_on_their_ports_with_all_rows(data_dir: Path, start: Start) -> None:
    urls = start(data_dir).urls()
    ask(urls["DATABASE_URL"], "create table kept as select 7 as n")

    postmaster(data_dir).kill()
    psutil.Process(int((data_dir / "run" / "redis.pid").read_text().split()[0])).kill()

    eventually(lambda: answers(urls))
    assert ask(urls["DATABASE_URL"], "select n from kept") == 7
    assert start(data_dir).urls() == urls


def test_next_start_repairs_what_a_killed_keeper_left(data_dir: Path, start: Start) -> None:
    urls = start(data_dir).urls()
    ask(urls["DATABASE_URL"], "create table kept as select 7 as n")

    kill_keeper(data_dir)

    assert start(data_dir).urls() == urls
    assert ask(urls["DATABASE_URL"], "select n from kept") == 7


def test_next_start_repairs_after_everything_was_killed_and_numbers_were_reused(data_dir: Path, start: Start) -> None:
    client = start(data_dir)
    urls = client.urls()
    ask(urls["DATABASE_URL"], "create table kept as select 7 as n")
    server = postmaster(data_dir)
    family = [server, *server.children(recursive=True)]
    os.kill(keeper_pid(Folder(data_dir)) or 0, signal.SIGSTOP)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    kill_keeper(data_dir)
    client.end()
    psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
    pid_file = data_dir / "postgresql" / "postmaster.pid"
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        pid_file.write_text(f"{bystander.pid}\n" + pid_file.read_text().partition("\n")[2])

        assert start(data_dir).urls() == urls

        assert ask(urls["DATABASE_URL"], "select n from kept") == 7
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_start_that_was_killed_in_the_middle_leaves_no_half_cluster(data_dir: Path, start: Start) -> None:
    client = start(data_dir)
    eventually(lambda: bool(list(data_dir.glob("postgresql.new/base"))))
    kill_keeper(data_dir)
    client.end()

    assert answers(start(data_dir).urls())
    assert not (data_dir / "postgresql.new").exists()


def test_two_folders_run_side_by_side_however_deep_and_named(tmp_path: Path, start: Start) -> None:
    deep = tmp_path.joinpath("a folder, with spaces", *["and-a-long-way-down"] * 8, "data 'x'")
    plain = tmp_path / "plain"
    try:
        first, second = start(deep), start(plain)

        assert answers(first.urls())
        assert answers(second.urls())
        assert published(Folder(deep)) != published(Folder(plain))
    finally:
        end_keeper(Folder(deep))
        end_keeper(Folder(plain))


@pytest.mark.parametrize("home", [{"HOME": ""}, {"HOME": "/nonexistent", "LANG": "xx_YY", "PGUSER": "nonsense"}])
def test_neither_home_nor_other_variables_matter(shared_dir: Path, start: Start, home: dict[str, str]) -> None:
    urls = start(shared_dir, PGPORT="1", PGDATA="/nonexistent", TMPDIR="/nonexistent", **home).urls()

    assert answers(urls)


def test_only_the_owner_can_read_what_is_kept(shared_dir: Path, start: Start) -> None:
    start(shared_dir).urls()

    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in shared_dir.iterdir())
    secret_files = [*(shared_dir / "secrets").iterdir(), shared_dir / "run" / "services.json"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secret_files)


def test_a_lost_password_file_is_made_again_and_the_rows_stay(data_dir: Path, start: Start) -> None:
    ask(start(data_dir).urls()["DATABASE_URL"], "create table kept as select 7 as n")
    end_keeper(Folder(data_dir))
    (data_dir / "secrets" / "postgresql_password").unlink()

    assert ask(start(data_dir).urls()["DATABASE_URL"], "select n from kept") == 7


def test_a_server_that_does_not_start_says_why(data_dir: Path, start: Start) -> None:
    start(data_dir).urls()
    end_keeper(Folder(data_dir))
    with (data_dir / "postgresql" / "postgresql.conf").open("a") as settings:
        settings.write("nonsense = 1\n")

    assert 'unrecognized configuration parameter "nonsense"' in start(data_dir).failure()

    (data_dir / "postgresql" / "PG_VERSION").write_text("9\n")
    assert "was made by PostgreSQL 9" in start(data_dir).failure()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, start: Start) -> None:
    (tmp_path / "file").touch()

    assert f"Cannot use {tmp_path}/file/data as DATA_DIR" in start(tmp_path / "file" / "data").failure()


def test_the_command_line_shows_and_stops_the_servers(data_dir: Path, start: Start) -> None:
    def run(command: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "alliantra.embedded", command, str(data_dir)]
        return subprocess.run(line, cwd=TREE, capture_output=True, text=True, check=False)

    urls = start(data_dir).urls()

    assert f"runs on {data_dir}" in run("status").stdout
    assert run("urls").stdout == "".join(f"export {name}='{urls[name]}'\n" for name in VARIABLES)
    assert run("stop").stdout == "Stopped.\n"
    assert not answers(urls)
    assert [run(command).returncode for command in ("status", "urls", "stop")] == [1, 1, 0]


def test_the_secret_key_is_generated_once_and_only_locally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "SECRET_KEY_FILE", "ENVIRONMENT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    monkeypatch.setenv("ENVIRONMENT", "production")
    embedded.ensure_local_secrets(tmp_path)
    assert "SECRET_KEY" not in os.environ

    monkeypatch.setenv("ENVIRONMENT", "local")
    embedded.ensure_local_secrets(tmp_path)
    key = os.environ["SECRET_KEY"]
    monkeypatch.delenv("SECRET_KEY")
    embedded.ensure_local_secrets(tmp_path)
    assert os.environ["SECRET_KEY"] == key == (tmp_path / "secrets" / "secret_key").read_text()
    assert len(key) >= 50
