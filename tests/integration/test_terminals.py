"""Standard streams: characters that an encoding lacks, streams that are closed, devices that are full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

START = "import sys\nfrom aquamind_pipeline.cli.streams import dependable_streams\nwith dependable_streams():\n    "


def run(code: str, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run statements of one line within `dependable_streams`, then end as a command that succeeded."""
    command = ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, f"{START}{code}; sys.exit(0)"]
    return subprocess.run(command, env=environment, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"3 ?C x 2 - ? e ? ."),
        ("iso8859-1", b"3 \xb0C \xd7 2 - \xf8 \xe9 ? ."),
        ("cp1252", b"3 \xb0C \xd7 2 \x96 \xf8 \xe9 ? \x85"),
        ("utf-8", "3 °C × 2 – ø é 魚 …".encode()),
    ],
)
def test_characters_that_a_terminal_lacks_become_plain_ones(encoding: str, shown: bytes) -> None:
    done = run(r"print('3 °C × 2 – ø é 魚 …')", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout, done.stderr) == (0, shown + b"\n", b"")


def test_bytes_of_a_name_that_are_no_characters_stay() -> None:
    assert run(r"print('/farm/\udcff/lake')").stdout == b"/farm/\xff/lake\n"


@pytest.mark.parametrize(
    ("redirection", "status", "errors"),
    [
        (">/dev/full", 1, b"done\nerror: standard output cannot be written: No space left on device\n"),
        ("2>/dev/full", 1, b""),
        (">/dev/full 2>/dev/full", 1, b""),
        ("> >(true)", 0, b"done\n"),
        ("2> >(true)", 0, b""),
        (">&-", 0, b"done\n"),
        (">&- 2>&- <&-", 0, b""),
    ],
)
def test_work_goes_on_when_output_is_lost(tmp_path: Path, redirection: str, status: int, errors: bytes) -> None:
    """Whatever happens to the output of the process and its children, its file holds what it wrote there."""
    path = tmp_path / "file"
    done = run(
        f"import subprocess; file = open({str(path)!r}, 'w'); "
        "subprocess.run(['sh', '-c', 'exec 2>/dev/null; echo child']); "
        "print('x' * 100_000, flush=True); print('done', file=sys.stderr); file.write('work'); file.close()",
        redirection,
    )
    assert path.read_text() == "work"
    assert (done.returncode, done.stderr) == (status, errors)


def test_an_answer_may_be_any_bytes_or_none() -> None:
    assert run("print(ascii(sys.stdin.read()))", "<<<$'\\xff'", PYTHONIOENCODING="utf-8").stdout == b"'\\ufffd\\n'\n"
    assert run("print(ascii(sys.stdin.read()))", "<&-").stdout == b"''\n"
