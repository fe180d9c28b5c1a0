"""A shared local server, with real processes: who starts it, who stops it, and what a kill leaves."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from volt_pipeline.local_service import Facts, LocalService, LocalServiceError
from volt_pipeline_tests.client_process import ClientProcess

SERVER = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    listener.accept()[0].close()
"""
CLIENT = """
import json, sys
from pathlib import Path
from volt_pipeline_tests.test_local_service import toy
service = toy(Path(sys.argv[1]))
print(json.dumps(service.acquire()), flush=True)
sys.stdin.read()
if sys.argv[2:] != ["atexit"]:
    service.release()
"""


def toy(directory: Path) -> LocalService:
    """A service around the smallest real server, which notes down each of its starts."""

    def start() -> Facts:
        with (directory.parent / "starts").open("a") as starts:
            starts.write("started\n")
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        assert server.stdout is not None
        with server.stdout:
            port = int(server.stdout.readline())
        server.returncode = 0  # it outlives its starter
        return {"port": port, "pid": server.pid}

    def stop(facts: Facts) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(facts["pid"], signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(facts["pid"], 0)
        while alive(facts):
            time.sleep(0.01)

    return LocalService(directory, start=start, alive=alive, stop=stop)


def alive(facts: Facts) -> bool:
    try:
        socket.create_connection(("127.0.0.1", facts["port"]), timeout=5).close()
    except OSError:
        return False
    return True


def starts(directory: Path) -> int:
    return len((directory.parent / "starts").read_text().splitlines())


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "a service"
    yield directory
    with contextlib.suppress(FileNotFoundError), toy(directory):
        pass  # the last user stops what a failed test left


def test_the_last_of_two_processes_stops_the_server(directory: Path) -> None:
    with ClientProcess(CLIENT, directory) as first, ClientProcess(CLIENT, directory) as second:
        facts = json.loads(first.answer())
        assert json.loads(second.answer()) == facts
        first.leave()
        assert alive(facts)
        second.leave()
        assert not alive(facts)
    assert starts(directory) == 1
    assert not (directory / "service.json").exists()


def test_many_processes_at_once_start_one_server(directory: Path) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ClientProcess(CLIENT, directory)) for _ in range(6)]
        answers = {client.answer() for client in clients}
        assert len(answers) == 1
        for client in clients:
            client.leave()
    assert starts(directory) == 1
    assert not alive(json.loads(answers.pop()))


def test_processes_that_come_and_go_never_meet_a_stopped_server(directory: Path) -> None:
    code = """
import sys
from pathlib import Path
from volt_pipeline_tests.test_local_service import alive, toy
for _ in range(15):
    with toy(Path(sys.argv[1])) as facts:
        assert alive(facts)
"""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ClientProcess(code, directory)) for _ in range(4)]
        for client in clients:
            client.leave()
    assert not (directory / "service.json").exists()


def test_a_killed_client_leaves_the_server_to_the_next(directory: Path) -> None:
    with ClientProcess(CLIENT, directory) as client:
        facts = json.loads(client.answer())
        client.kill()
    assert alive(facts)
    with toy(directory) as found:
        assert found == facts
    assert not alive(facts)


def test_a_killed_server_is_started_again_while_others_use_it(directory: Path) -> None:
    with ClientProcess(CLIENT, directory) as client:
        facts = json.loads(client.answer())
        os.kill(facts["pid"], signal.SIGKILL)
        while alive(facts):
            time.sleep(0.01)
        service = toy(directory)
        fresh = service.acquire()
        assert alive(fresh)
        service.release()
        assert alive(fresh)
        client.leave()
        assert not alive(fresh)


def test_callers_in_one_process_share_one_hold(directory: Path) -> None:
    one, other = toy(directory), toy(directory)
    with one as facts:
        with other as again, one:
            assert again == facts
        assert alive(facts)
    assert not alive(facts)
    other.release()  # nothing is held: nothing happens
    assert starts(directory) == 1


def test_the_end_of_a_process_releases(directory: Path) -> None:
    with ClientProcess(CLIENT, directory, "atexit") as client:
        facts = json.loads(client.answer())
        client.leave()
    assert not alive(facts)


def test_a_forked_child_neither_stops_the_server_nor_keeps_it(directory: Path) -> None:
    code = """
import json, os, sys
from pathlib import Path
from volt_pipeline_tests.test_local_service import toy
service = toy(Path(sys.argv[1]))
facts = service.acquire()
child = os.fork()
if child == 0:
    service.release()
    sys.exit()  # runs what is registered for the end of the process
os.waitpid(child, 0)
lasting = os.fork()
if lasting == 0:
    print(json.dumps(facts), flush=True)  # not its parent, which may be killed before this one has begun to run
    sys.stdin.read()
    os._exit(0)
os.waitpid(lasting, 0)
"""
    with ClientProcess(code, directory) as client:
        facts = json.loads(client.answer())
        assert alive(facts)
        client.kill()  # the lasting child goes on, without a hold
        with toy(directory) as found:
            assert found == facts
        assert not alive(facts)


def test_a_failed_start_leaves_no_hold(directory: Path) -> None:
    def fail() -> Facts:
        raise RuntimeError("no server today")

    with pytest.raises(RuntimeError, match="no server today"):
        LocalService(directory, start=fail, alive=alive, stop=lambda facts: None).acquire()
    with ClientProcess(CLIENT, directory) as client:
        facts = json.loads(client.answer())
        client.leave()
    assert not alive(facts)


def test_a_directory_deleted_in_use_is_left_behind_and_made_anew(directory: Path) -> None:
    with ClientProcess(CLIENT, directory) as client:
        old = json.loads(client.answer())
        shutil.rmtree(directory)
        with toy(directory) as fresh:
            assert fresh["pid"] != old["pid"]
            client.leave()
            assert not alive(old)
            assert alive(fresh)
        assert not alive(fresh)


def test_a_deleted_directory_is_not_made_again_to_leave_it(directory: Path) -> None:
    service = toy(directory)
    facts = service.acquire()
    shutil.rmtree(directory)
    service.release()
    assert not alive(facts)
    assert not directory.exists()


def test_a_holder_finds_the_directory_that_replaced_its_own(directory: Path) -> None:
    service = toy(directory)
    old = service.acquire()
    shutil.rmtree(directory)
    with service as fresh:
        assert alive(fresh)
        assert not alive(old)
    assert alive(fresh)  # the first caller is still there
    service.release()
    assert not alive(fresh)


def test_a_server_in_use_on_another_machine_is_not_started_twice(directory: Path) -> None:
    with ClientProcess(CLIENT, directory) as client:
        facts = json.loads(client.answer())
        unreachable = {"host": "elsewhere", "facts": facts | {"port": 1}}
        (directory / "service.json").write_text(json.dumps(unreachable))
        with pytest.raises(LocalServiceError, match="elsewhere"):
            toy(directory).acquire()
        (directory / "service.json").write_text(json.dumps({"host": "elsewhere", "facts": facts}))
        client.leave()


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"port": 1}'])
def test_a_damaged_record_counts_as_no_server(directory: Path, garbage: str) -> None:
    directory.mkdir()
    (directory / "service.json").write_text(garbage)
    with toy(directory) as facts:
        assert alive(facts)


def test_files_are_private(directory: Path) -> None:
    with toy(directory):
        assert directory.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
