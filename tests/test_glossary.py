"""Public names use the words of `docs/glossary.md`."""

import ast
import re
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGES = ("inventory", "storage", "answers", "activities", "workflows")
GLOSSARY = (CHECKOUT / "docs" / "glossary.md").read_text()
AVOIDED = set(re.findall(r"`(\w+)`", GLOSSARY.split("| not | but |")[1]))
NOUNS = {"feed", "heading", "mapping", "setting", "string", *re.findall(r"^\| ([a-z ]+) \|", GLOSSARY, re.MULTILINE)}
NOT_A_NOUN = re.compile(r".*(ed|ing)|earlier|fallen|forgotten|invalid|left|read|said|seen|then|independent")


def modules() -> list[Path]:
    """The modules of the packages. Released migrations keep their names."""
    return [
        path
        for package in PACKAGES
        for path in sorted((CHECKOUT / package).rglob("*.py"))
        if path.parent.name != "versions" or "migrations" not in path.parts
    ]


def public_classes() -> list[str]:
    return [
        node.name
        for path in modules()
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
    assert [path.name for path in modules() if path.stem != "__init__" and is_avoided(path.stem)] == []


def test_a_class_name_means_one_thing() -> None:
    assert [name for name, count in Counter(public_classes()).items() if count > 1] == []
