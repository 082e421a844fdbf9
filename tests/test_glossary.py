"""Public names use the words of `docs/glossary.md`."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGES = ("inventory", "storage", "answers", "activities", "workflows")
GLOSSARY = (CHECKOUT / "docs" / "glossary.md").read_text()
AVOIDED = set(re.findall(r"`(\w+)`", GLOSSARY.split("| not | but |")[1]))
NOUNS = {
    *("feed", "heading", "mapping", "monitoring", "setting", "string", "versioning", "warning"),
    *re.findall(r"^\| ([a-z ]+) \|", GLOSSARY, re.MULTILINE),
}
POINTING = {"one", "each"}
MAY_POINT = re.compile(rf"\b(?:for|lambda)\b[^:]*?\b(?:{'|'.join(POINTING)})\b")
"""Modules without such a line are not parsed, which saves most of the time."""
NOT_OURS = {".venv", "venv", ".local", "build"}
VAGUE = {"asked", "given", "one", "said", "served", "told", "wanted"}
"""No name says only this of what it holds."""
VAGUE_ALONE = VAGUE | {"found", "known", "others", "rest", "seen", "shown"}
"""A variable's neighbours may say what it holds; an argument and a field stand alone."""
MAY_BE_VAGUE = re.compile(rf"\b_*(?:{'|'.join(VAGUE_ALONE)})_*\s*(?:\W?=|[,:()\]]|in\b)", re.IGNORECASE)
"""What follows a name that gets a value; modules without one are not parsed, either."""
CONTRACTS = {"ConfirmedShare"}
"""Models whose fields running workflows may still send."""
NOT_A_NOUN = re.compile(r".*(ed|ing)|earlier|fallen|forgotten|invalid|left|read|said|seen|then|independent")


def sources() -> list[Path]:
    return [path for path in sorted(CHECKOUT.rglob("*.py")) if path.relative_to(CHECKOUT).parts[0] not in NOT_OURS]


def modules(*packages: str) -> list[Path]:
    """The modules of the packages, without any of the checkout. Released migrations keep their names."""
    return [
        path
        for path in sources()
        if not packages or path.relative_to(CHECKOUT).parts[0] in packages
        if path.parent.name != "versions" or "migrations" not in path.parts
    ]


def public_classes() -> list[str]:
    return [
        node.name
        for path in modules(*PACKAGES)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def words(name: str) -> list[str]:
    """The lower-case words of a class name or a module name."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)]


def is_avoided(name: str) -> bool:
    *_, last = words(name)
    return bool(AVOIDED & set(words(name))) or (last not in NOUNS and NOT_A_NOUN.fullmatch(last) is not None)


def test_public_classes_use_the_glossary() -> None:
    assert [name for name in public_classes() if is_avoided(name)] == []


def test_modules_use_the_glossary() -> None:
    assert [str(path) for path in modules() if not path.stem.startswith("__") and is_avoided(path.stem)] == []


def test_a_class_name_has_one_definition() -> None:
    assert [name for name, count in Counter(public_classes()).items() if count > 1] == []


def loop_variables(source: str) -> Iterator[tuple[int, str]]:
    """The line and name of each variable of a loop, a comprehension or a lambda."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield from ((part.lineno, part.id) for part in ast.walk(node.target) if isinstance(part, ast.Name))
        elif isinstance(node, ast.Lambda):
            yield from ((argument.lineno, argument.arg) for argument in node.args.args)


def pointing(source: str) -> list[tuple[int, str]]:
    """The loop variables that do not name their item."""
    if not MAY_POINT.search(source):
        return []
    return sorted((line, name) for line, name in loop_variables(source) if name in POINTING)


def test_loop_variables_name_their_items() -> None:
    source = "for one in pages:\n  print({one for number, one in pages}, key=lambda each: each)\nfor page in one: ..."
    assert pointing(source) == [(1, "one"), (2, "each"), (2, "one")]
    assert len(sources()) > 500
    assert {str(path): found for path in sources() if (found := pointing(path.read_text()))} == {}


def bound_names(source: str) -> Iterator[tuple[int, str, bool]]:
    """The line and name of each variable, function, argument and field; whether it stands alone."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name, False
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg, True
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id, False
        elif isinstance(node, ast.ClassDef) and node.name not in CONTRACTS:
            fields = [part.target for part in node.body if isinstance(part, ast.AnnAssign)]
            yield from ((field.lineno, field.id, True) for field in fields if isinstance(field, ast.Name))


def vague(source: str) -> list[tuple[int, str]]:
    """The names that do not say what they hold."""
    if not MAY_BE_VAGUE.search(source):
        return []
    return sorted(
        (line, name)
        for line, name, stands_alone in bound_names(source)
        if name.strip("_").lower() in (VAGUE_ALONE if stands_alone else VAGUE)
    )


def test_names_say_what_they_hold() -> None:
    source = "class Run:\n  seen: int\ndef told(rest):\n  found = lambda shown: shown\n  wanted = found"
    assert vague(source) == [(2, "seen"), (3, "rest"), (3, "told"), (4, "shown"), (5, "wanted")]
    files = modules()
    assert len(files) > 1000
    assert {str(path): names for path in files if (names := vague(path.read_text()))} == {}


def template_variables(source: str) -> Iterator[tuple[int, str]]:
    """The line and name of each variable of a template's loops, and of each argument of its macros."""
    parsed = Environment(autoescape=True).parse(source)
    targets: list[nodes.Node] = [loop.target for loop in parsed.find_all(nodes.For)]
    targets += [argument for macro in parsed.find_all(nodes.Macro) for argument in macro.args]
    for target in targets:
        names = [target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name)
        yield from ((name.lineno, name.name) for name in names)


def pointing_in_template(source: str) -> list[tuple[int, str]]:
    """The variables of a template that do not name their item."""
    return sorted((line, name) for line, name in template_variables(source) if name in POINTING)


def test_template_variables_name_their_items() -> None:
    loops = "{% for one in pages %}\n{% for each, page in pages %}{% endfor %}{% endfor %}"
    assert pointing_in_template(loops) == [(1, "one"), (2, "each")]
    assert pointing_in_template("{% macro value(one, text) %}{{ one }}{% endmacro %}") == [(1, "one")]
    files = [path for package in ("answers", "web") for path in sorted((CHECKOUT / package).rglob("*.html"))]
    assert len(files) > 40
    assert {str(path): found for path in files if (found := pointing_in_template(path.read_text()))} == {}


def retention_misnamed(text: str) -> list[str]:
    """Words such as `forgotten` in a text, outside of templates' expressions and of code."""
    return re.findall(r"\b\w*forg[eo]t\w*", re.sub(r"\{[{%].*?[%}]\}|`[^`]*`", "", text, flags=re.DOTALL))


def test_people_read_that_retention_deletes_and_nothing_is_forgotten() -> None:
    assert retention_misnamed("{% if is_forgotten %}`forgotten`: it is forgotten") == ["forgotten"]
    texts = {
        str(path): path.read_text() for package in ("answers", "web") for path in (CHECKOUT / package).rglob("*.html")
    }
    texts |= json.loads((CHECKOUT / "cli" / "help.json").read_text())
    texts |= {
        str(path): " ".join(re.findall(r'"description": "(.*)"', path.read_text()))
        for path in (CHECKOUT / "docs" / "schemas").glob("*.json")
    }
    assert {name: found for name, text in texts.items() if (found := retention_misnamed(text))} == {}
