"""The process runner against programs that misbehave: each ends, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from kit.errors import StepFailed
from kit.process import Command, ProcessCancelled, ProcessFlooded, ProcessStalled, ProcessTimeout, SubprocessRunner
from tests.eventually import eventually
from tests.processes import is_alive

FOREVER_S = 60.0


def python(code: str, *arguments: str, timeout_s: float = FOREVER_S, stall_s: float | None = None, **more: object) -> Command:
    return Command((sys.executable, "-I", "-c", textwrap.dedent(code), *arguments), timeout_s=timeout_s, stall_s=stall_s, **more)  # type: ignore[arg-type]


def test_an_ordinary_run_is_reported() -> None:
    done = SubprocessRunner().run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert done.wall_s > 0


def test_death_by_a_signal_is_a_negative_exit_code() -> None:
    assert SubprocessRunner().run(python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")).exit_code == -signal.SIGSEGV


def test_cpu_and_memory_of_the_run_are_counted() -> None:
    code = """
        import time
        block = bytearray(200 << 20)
        for index in range(0, len(block), 4096):
            block[index] = 1
        began = time.process_time()
        while time.process_time() - began < 0.5:
            pass
    """
    done = SubprocessRunner().run(python(code))
    assert done.cpu_s >= 0.5
    assert 200 << 20 <= done.peak_rss_bytes < 400 << 20


def test_a_small_program_is_not_charged_for_our_own_memory() -> None:
    block = bytearray(300 << 20)
    for index in range(0, len(block), 4096):
        block[index] = 1
    done = SubprocessRunner().run(python("import time; time.sleep(0.5)"))
    assert done.peak_rss_bytes < 100 << 20
    assert len(block) == 300 << 20


def test_lines_end_at_newlines_and_carriage_returns() -> None:
    lines: list[str] = []
    code = r"import sys; sys.stdout.write('one\ntwo\rthree\r\n\nfo'); sys.stdout.flush(); sys.stdout.write('ur'); sys.stdout.flush()"
    done = SubprocessRunner().run(python(code), on_line=lines.append)
    assert lines == ["one", "two", "three", "four"]
    assert done.stdout == b""


def test_a_line_without_end_comes_in_pieces() -> None:
    lines: list[str] = []
    SubprocessRunner().run(python("import sys; sys.stdout.write('x' * 1_000_000)"), on_line=lines.append)
    assert "".join(lines) == "x" * 1_000_000
    assert max(map(len, lines)) <= 64 << 10


def test_only_the_tail_of_stderr_is_kept() -> None:
    done = SubprocessRunner().run(python("import sys; sys.stderr.write('x' * 3_000_000 + 'the end')"))
    assert len(done.stderr) == 64 << 10
    assert done.stderr.endswith(b"the end")


def test_nothing_is_inherited_but_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWATER_SECRET_KEY", "secret")
    read_fd, write_fd = os.pipe()
    os.set_inheritable(write_fd, True)
    code = "import os; print(sorted(os.environ)); print(os.getcwd()); print(sorted(os.listdir('/proc/self/fd'))); print(os.read(0, 1))"
    try:
        done = SubprocessRunner().run(python(code, env={"GIVEN": "yes"}, cwd=tmp_path))
    finally:
        os.close(read_fd)
        os.close(write_fd)
    names, folder, descriptors, stdin = done.stdout.decode().splitlines()
    assert set(eval(names)) - {"LC_CTYPE"} == {"GIVEN", "PATH"}  # Python itself may set LC_CTYPE
    assert folder == str(tmp_path)
    assert len(eval(descriptors)) == 4  # the three standard ones, and the folder being listed
    assert stdin == "b''"


def test_arguments_arrive_as_they_are() -> None:
    strange = ("", "-I", "two words", "quote\"'", "ünï", "$HOME", "*", "\n")
    done = SubprocessRunner().run(python("import sys; print(sys.argv[1:])", *strange))
    assert done.stdout.decode() == f"{list(strange)}\n"


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", __file__])
def test_a_missing_program_is_said(program: str) -> None:
    with pytest.raises(StepFailed) as missing:
        SubprocessRunner().run(Command((program,), timeout_s=5))
    assert missing.value.code == "tool_missing"
    assert program in missing.value.detail


ENDLESS = {
    "a loop without end": "while True: pass",
    "one that ignores SIGTERM": """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True: time.sleep(1)
    """,
    "one that floods stderr": "import sys\nwhile True: sys.stderr.write('x' * 65536)",
    "one that closed its outputs": "import os, time\nos.close(1); os.close(2)\ntime.sleep(600)",
}


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS.keys())
def test_the_wall_limit_ends_it(code: str) -> None:
    with pytest.raises(ProcessTimeout) as stopped:
        SubprocessRunner().run(python(code, timeout_s=0.4))
    assert stopped.value.code == "wall_limit"


def test_a_flood_of_stdout_meets_the_limit() -> None:
    with pytest.raises(ProcessFlooded):
        SubprocessRunner(stdout_limit_bytes=1 << 20).run(python("import sys\nwhile True: sys.stdout.write('x' * 65536)"))


def test_a_flood_of_lines_meets_the_wall_limit() -> None:
    with pytest.raises(ProcessTimeout):
        SubprocessRunner().run(python("while True: print('x' * 100)", timeout_s=0.5), on_line=lambda _line: None)


def test_silence_is_a_stall_and_lines_are_life() -> None:
    talking = "import time\nfor _ in range(8):\n    time.sleep(0.1); print('alive', flush=True)\n"
    assert SubprocessRunner().run(python(talking, stall_s=5), on_line=lambda _line: None).exit_code == 0
    with pytest.raises(ProcessStalled):
        SubprocessRunner().run(python(talking + "time.sleep(600)", stall_s=2), on_line=lambda _line: None)


def test_cancelling_ends_it() -> None:
    cancel = threading.Event()
    with pytest.raises(ProcessCancelled):
        SubprocessRunner().run(python("print('running', flush=True)\nwhile True: pass"), on_line=lambda _line: cancel.set(), cancel=cancel)


def test_an_error_of_ours_ends_it(tmp_path: Path) -> None:
    def fail(line: str) -> None:
        (tmp_path / "pid").write_text(line)
        raise ValueError("our own mistake")

    with pytest.raises(ValueError, match="our own mistake"):
        SubprocessRunner().run(python("import os, time; print(os.getpid(), flush=True); time.sleep(600)"), on_line=fail)
    assert not is_alive(int((tmp_path / "pid").read_text()))


FAMILY = """
    import os, signal, sys, time
    for generation in range(2):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if generation == 0: continue
            print(os.getpid(), os.getppid(), flush=True)
            time.sleep(600)
        break
    if {leaves}: time.sleep(0.5); sys.exit(0)
    time.sleep(600)
"""


@pytest.mark.parametrize("leaves", [True, False], ids=["the program exits by itself", "the program is stopped"])
def test_grandchildren_die_with_it(leaves: bool) -> None:
    pids: list[int] = []
    command = python(FAMILY.format(leaves=leaves), timeout_s=FOREVER_S if leaves else 1.5)
    if leaves:
        assert SubprocessRunner().run(command, on_line=lambda line: pids.extend(map(int, line.split()))).exit_code == 0
    else:
        with pytest.raises(ProcessTimeout):
            SubprocessRunner().run(command, on_line=lambda line: pids.extend(map(int, line.split())))
    assert len(pids) == 2
    assert eventually(lambda: not any(map(is_alive, pids)))


def test_it_dies_when_we_are_killed(tmp_path: Path) -> None:
    code = f"""
        import sys
        sys.path.insert(0, {str(Path.cwd())!r})
        from pathlib import Path
        from kit.process import Command, SubprocessRunner
        program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        SubprocessRunner().run(
            Command((sys.executable, "-c", program), timeout_s=600), on_line=lambda line: Path(sys.argv[1]).write_text(line)
        )
    """
    note = tmp_path / "pid"
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(note)])
    try:
        assert eventually(lambda: note.exists() and note.read_text() != "")
        assert is_alive(int(note.read_text()))
    finally:
        worker.kill()
        worker.wait()
    assert eventually(lambda: not is_alive(int(note.read_text())))


def test_a_run_from_a_short_lived_thread_is_not_cut_short() -> None:
    """The kernel's promise is about the starting thread; a run begins and ends in one thread, so it holds."""
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(SubprocessRunner().run(python("import time; time.sleep(0.3)")).exit_code))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0, 0, 0]


def test_a_command_is_a_value() -> None:
    command = Command(("ffmpeg", "-i", "a b.mp4"), timeout_s=5)
    assert str(command) == "ffmpeg -i 'a b.mp4'"
    assert command == Command(("ffmpeg", "-i", "a b.mp4"), timeout_s=5)
