"""Every mistake on a command line is one line that names the option, the value and what was expected."""

import subprocess
import sys

import pytest

from tipai_jax.errors import Parser, UserError, first_line, run_main, whole_number


def parse(*arguments: str):
    parser = Parser(prog="tool")
    parser.add_argument("--size", type=whole_number(1))
    parser.add_argument("--kind", choices=("a", "b"))
    return parser.parse_args(arguments)


def test_what_fits_is_read():
    assert parse("--size", "12", "--kind", "a").size == 12 and parse("--size", "1").size == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", "x"), "--size x: expected a whole number from 1 (see tool --help)"),
        (("--size", "0"), "--size 0: expected a whole number from 1 (see tool --help)"),
        (("--size", "-2"), "--size -2: expected a whole number from 1 (see tool --help)"),
        (("--size", "1.5"), "--size 1.5: expected a whole number from 1 (see tool --help)"),
        (("--size",), "--size expected one argument (see tool --help)"),
        (("--siz", "3"), "unrecognized arguments: --siz 3 (see tool --help)"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    with pytest.raises(UserError) as caught:
        parse(*arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("no route\nto host"), "no route"),
        (ValueError("\n  an indented start\nand more"), "an indented start"),
        (OSError(), "OSError"),
        (RuntimeError(" \n"), "RuntimeError"),
        (ValueError("x" * 300), "x" * 200),
    ],
)
def test_of_another_exception_a_line_is_shown(error, line):
    assert first_line(error) == line


def test_a_mistake_ends_in_exit_code_two(capsys):
    assert run_main(lambda: parse("--kind", "c") and 0) == 2
    printed = capsys.readouterr()
    assert (
        printed.out == ""
        and printed.err.startswith("error: --kind ")
        and "'c'" in printed.err
        and printed.err.count("\n") == 1
    )


def test_a_reader_that_has_gone_ends_a_command_without_a_word():
    """As `--help | head -1` does, where more is written than a pipe holds."""
    command = "from tipai_jax.errors import run_main\nraise SystemExit(run_main(lambda: print('x\\n' * 100_000)))"
    shell = f'"{sys.executable}" -c "{command}" | head -1; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("x\n", "", 141)
