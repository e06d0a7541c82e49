"""Hooks of mkdocs.yml: what the site shows that the Markdown files, as GitHub shows them, do not hold.

Formulas become MathML, so that no script has to draw them; ``<!-- options of every command -->`` becomes the options of
the command line, and ``<!-- docstrings -->`` the reference of the Python functions. Links to files outside docs/ become
text, and the line of links below a title is left out, since the site has a menu and a switch of languages.
"""

from __future__ import annotations

import html
import posixpath
import re
from typing import TYPE_CHECKING

import typer
from latex2mathml.converter import convert

from brainslice.cli.main import command_line

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

PARTS = ("data", "lifecycle", "evaluation", "networks", "predictions", "thresholds")
DOCSTRINGS = tuple(f"brainslice.api.{name}" for name in PARTS)
PIECES = re.compile(
    r"^ *```(?P<fence>\w*)\n(?P<block>.*?)^ *```$|(?P<code>`[^`\n]+`)|\$(?P<inline>[^$]+)\$"
    r"|(?P<picture>!?)\[(?P<label>[^\]]+)\]\((?P<target>[^)\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
LANGUAGES = re.compile(r"^\[(?:Español|English)\]\(.*\n", re.MULTILINE)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Fill in and rewrite one page before it is converted."""
    text = LANGUAGES.sub("", markdown, count=1)
    text = text.replace("<!-- options of every command -->", options_of_commands())
    text = text.replace("<!-- docstrings -->", "\n\n".join(f"::: {name}" for name in DOCSTRINGS))
    page.meta["formulas"] = formulas = []
    return rewrite(text, page.file.src_uri, formulas)


def on_page_content(content: str, page: Page, **_: object) -> str:
    """Put the formulas in, which Markdown would have taken apart."""
    for number, formula in enumerate(page.meta["formulas"]):
        content = content.replace(f"FORMULA{number}END", formula)
    return content


def rewrite(text: str, place: str, formulas: list[str]) -> str:
    """Replace formulas by marks, links that leave the language's folder by text, and place the pictures."""
    language = posixpath.dirname(place)

    def replaced(match: re.Match[str]) -> str:
        if formula := match["inline"] or (match["block"] if match["fence"] == "math" else None):
            formulas.append(convert(formula.strip(), display="inline" if match["inline"] else "block"))
            return f"FORMULA{len(formulas) - 1}END"
        target = match["target"]
        if not target:
            return match.group()
        if match["picture"]:  # pictures belong to both languages: the English pages lie at the root of the site
            source = target.removeprefix("" if language == "es" else "../")
            return f'<img alt="{html.escape(match["label"])}" src="{source}">'
        leads_to = posixpath.normpath(posixpath.join(language, target.partition("#")[0]))
        inside = re.match(r"\w+:|#", target) or leads_to.startswith(f"{language}/")
        return match.group() if inside else match["label"]

    return PIECES.sub(replaced, text)


def options_of_commands() -> str:
    """Describe the options of every command that people are to know, as Markdown."""
    sections = []
    found = dict(command_line().commands)
    for group in [name for name, command in found.items() if hasattr(command, "commands")]:
        found |= {f"{group} {name}": command for name, command in found.pop(group).commands.items()}
    for name, command in sorted(found.items()):
        if command.hidden:
            continue
        rows = [f"| {spelled(each)} | {html.escape(getattr(each, 'help', None) or '')} |" for each in command.params]
        table = "\n".join(["| option | meaning |", "|---|---|", *rows]).replace("\n| `--help` |  |", "")
        sections.append(f"### brainslice {name}\n\n{(command.help or '').strip()}\n\n{table}\n")
    return "\n".join(sections)


def spelled(parameter: typer.core.TyperOption) -> str:
    """Spell a parameter as it is typed."""
    if not parameter.opts[0].startswith("-"):
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
