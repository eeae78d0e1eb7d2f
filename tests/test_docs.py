"""README, docs and CONTRIBUTING: links lead somewhere, files that are named exist, commands know the options that are
shown, and the examples run.
"""

import importlib
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from tipai_jax.errors import Parser

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
CONSOLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
NAMES = [str(page.relative_to(ROOT)) for page in TEXTS]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The names by which a link finds the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_there_are_pages():
    assert len(PAGES) > 10 and all(page.stat().st_size > 500 for page in PAGES)


def test_the_readme_is_a_page():
    assert len(README.read_text().splitlines()) <= 130


@pytest.mark.parametrize("page", TEXTS, ids=NAMES)
def test_no_line_is_too_long(page):
    lines = page.read_text().splitlines()
    made = page.name == "results.md"  # its tables are written by a command, a row a line
    assert [line for line in lines if len(line) > 120 and not (made and line.startswith("| "))] == []


@pytest.mark.parametrize("page", TEXTS, ids=NAMES)
def test_every_link_leads_to_a_file_and_a_heading(page):
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not link.startswith("https://") and (not target.exists() or (anchor and anchor not in anchors(target))):
            wrong.append(link)
    assert wrong == []


def test_the_readme_leads_to_every_page():
    assert {page.name for page in PAGES[1:]} <= set(re.findall(r"\(docs/([\w-]+\.md)\)", README.read_text()))


@pytest.mark.parametrize("page", TEXTS, ids=NAMES)
def test_every_file_of_the_repository_that_is_named_exists(page):
    named = re.findall(r"`((?:tipai_jax|precompute|scripts|configs|tests)/[\w./-]*)`", prose(page))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_names_the_console_commands():
    assert set(re.findall(r"`(tipai-[\w-]+)`", README.read_text())) == CONSOLE.keys()


class Parsed(Exception):
    """The command line was understood; the command itself is not run."""


def commands(page: Path) -> list[list[str]]:
    """The commands of ours in the bash blocks of a page, as words; variables before them and comments are left out."""
    found = []
    for line in "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if words and (words[0] == "python" or words[0].startswith("tipai-")):
            found.append(words)
    return found


def module_of(words: list[str]) -> tuple[str, list[str]]:
    """The module that a command runs, and its arguments."""
    if words[0] != "python":
        return CONSOLE[words[0]].split(":")[0], words[1:]
    if words[1] == "-m":
        return words[2], words[3:]
    assert (ROOT / words[1]).is_file(), words
    return words[1].removesuffix(".py").replace("/", "."), words[2:]


def parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command up to the point where its command line is read."""

    def parse_args(self, args=None, namespace=None):
        super(Parser, self).parse_args(args, namespace)
        raise Parsed

    name, arguments = module_of(words)
    if name == "tipai_jax.train":
        from tipai_jax.config.command_line import parse_config
        from tipai_jax.config.sweep import read_grid, take_sweep

        swept, rest = take_sweep(arguments)
        read_grid(swept, parse_config(rest, prog="", description=""))
        return
    if (ROOT / name.replace(".", "/") / "__main__.py").exists():
        name = f"{name}.__main__"
    module = importlib.import_module(name)
    monkeypatch.setattr(Parser, "parse_args", parse_args)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(Parsed):
        (module.main if hasattr(module, "main") else module.console)()


@pytest.mark.parametrize(
    "words", [each for page in [*PAGES, ROOT / "CONTRIBUTING.md"] for each in commands(page)], ids=" ".join
)
def test_a_command_knows_its_options(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    parse(words, monkeypatch)


@pytest.mark.parametrize(
    "line", ["precompute/embed.py --date x", "-m tipai_jax.train --optim.lr 1", "scripts/look.py 1"]
)
def test_a_wrong_option_is_seen(line, monkeypatch):
    from tipai_jax.errors import UserError

    with pytest.raises(UserError):
        parse(["python", *line.split()], monkeypatch)


def test_the_shell_scripts_that_are_named_exist():
    named = {name for page in PAGES for name in re.findall(r"scripts/[\w-]+\.sh", page.read_text())}
    assert {"scripts/quickstart.sh", "scripts/test.sh"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A folder in which a small quickstart has been trained and evaluated, and a few images lie."""
    from precompute import embed, scenes
    from tipai_jax import evaluate, train

    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        scenes.draw(Path("data/scenes"), pairs=120, seed=0)
        assert embed.main(["--data", "data/scenes", "--encoder", "tiny", "--out", "store/scenes"]) == 0
        run = ["--config", "base.py", "--store", "store/scenes", "--workdir", "runs/quickstart", "--data.epochs", "2"]
        assert train.main([*run, "--optim.warmup-steps", "1", "--data.batch-size", "16", "--model.width", "16"]) == 0
        assert evaluate.main(["--workdir", "runs/quickstart"]) in (0, 1)
    drawn = sorted((folder / "data" / "scenes" / "images").glob("*.png"))
    for name, path in zip(("image", "a", "b", "c"), drawn, strict=False):
        shutil.copy(path, folder / f"{name}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, ROOT / "docs" / "api.md"], ids=["README.md", "docs/api.md"])
def test_the_examples_run(page, job, monkeypatch, capsys):
    monkeypatch.chdir(job)
    examples, names = blocks(page, "python"), {}
    assert examples
    for number, example in enumerate(examples):
        exec(compile(example, f"{page.name}, example {number}", "exec"), names)
    with Image.open("overlay.png") as overlay, Image.open("image.png") as image:
        assert overlay.size == image.size
    assert {path.name for path in (job / "my-auditor").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert "rompt" in capsys.readouterr().out, "the sentence of the verdict was printed"


def test_the_pairs_that_are_shown_can_be_read():
    import json

    from precompute.readers.records import parse_row

    for page in (README, ROOT / "docs" / "data-format.md"):
        shown, *fields = blocks(page, "json")
        record = parse_row(json.loads(shown), 1)
        assert record.pair_id == "p1" and record.boxes and record.categories == (1,)
        for field in fields:
            prompt = {"prompt": "a red car left of two blue dogs"}
            phrases = parse_row({**json.loads(shown), **prompt, **json.loads(field)}, 1).phrases
            assert phrases and [phrase.start for phrase in phrases] == [0, 10, 18]
