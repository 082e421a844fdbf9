"""Raw digests: keyed hashes of objects' bytes and of the rules for reading them. Equal digests mean equal observations.

The key is the tenant's data key; the salt, the tenant's id, keeps tenants apart.
"""

import ast
import re
import sys
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from inventory.canonical import HIDDEN_WITHOUT_KEY
from inventory.data_keys import DataKey
from inventory.observation import ObservationRules
from inventory.secret_patterns import is_secret_name

DIGEST_BYTES = 16

_IMPORTED = re.compile(rb"^ *from (inventory\.\w+) import", re.MULTILINE)


class RawDigests:
    def __init__(self, data_key: DataKey | None, tenant_id: UUID, rules: bytes, left_out: frozenset[bytes]) -> None:
        """`rules`: see `rules_hash`. `left_out`: see `left_out_secrets`."""
        self._is_keyed = data_key is not None
        self._left_out = left_out
        self._key = sha256(b"tenant-inventory raw digest" + (b"" if data_key is None else data_key.secret)).digest()
        self._tenant = tenant_id.bytes
        self._rules = rules

    def of(self, objects: Sequence[Any], parent_id: str | None = None) -> list[bytes | None]:
        """Digests of JSON texts under a parent; None for an object with a secret if there is no data key."""
        rules = sha256(self._rules + (parent_id or "").encode()).digest()[:16]
        begun = blake2b(key=self._key, salt=self._tenant, person=rules, digest_size=DIGEST_BYTES)
        digests: list[bytes | None] = []
        for text in objects:
            if not self._is_keyed and any(name in bytes(text) for name in self._left_out):
                digests.append(None)
                continue
            digest = begun.copy()
            digest.update(text)
            digests.append(digest.digest())
        return digests

    def may_keep(self, document: bytes) -> bool:
        return self._is_keyed or HIDDEN_WITHOUT_KEY not in document


def left_out_secrets(rules: ObservationRules) -> frozenset[bytes]:
    """Names, as JSON, of secrets that documents omit without a mark."""
    sensitive = {name.rpartition("/")[2] for name in rules.sensitive}
    left_out = {name.rpartition("/")[2] for name in rules.volatile}
    return frozenset(orjson.dumps(name) for name in left_out if name in sensitive or is_secret_name(name))


def rules_hash(code: bytes, *rules: object) -> bytes:
    """Hashes the rules for reading an object. `code`: the `code_hash` of the modules that apply them."""
    return sha256(code + orjson.dumps(_plain(rules), option=orjson.OPT_SORT_KEYS)).digest()


@cache
def code_hash(modules: Sequence[str]) -> bytes:
    """Hashes modules and those of this package that they import, so that no release believes another's digests.

    Comments and docstrings do not count. Python's minor version does: it may read objects differently.
    """
    code = sha256(repr(sys.version_info[:2]).encode())
    for name, source in sorted(sources_of(modules).items()):
        code.update(f"{name}{syntax_tree(source)}".encode())
    return code.digest()


def sources_of(modules: Sequence[str]) -> dict[str, bytes]:
    """Also of those of this package that they import."""
    sources: dict[str, bytes] = {}
    names = list(modules)
    while names:
        name = names.pop()
        if name not in sources:
            path = Path(__file__).parents[1] / f"{name.replace('.', '/')}.py"
            sources[name] = path.read_bytes()
            names += (imported.decode() for imported in _IMPORTED.findall(sources[name]))
    return sources


def syntax_tree(source: bytes) -> str:
    """As text, without docstrings. Annotations stay: models are validated by them."""
    tree = ast.parse(source)
    _drop_docstrings(tree)
    return ast.dump(tree)


def _drop_docstrings(tree: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    tree.body = [statement for statement in tree.body if not _is_docstring(statement)]
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _drop_docstrings(statement)


def _is_docstring(statement: ast.stmt) -> bool:
    """Also of an attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _plain(value: Any) -> Any:
    """Sorts sets, whose order differs between processes."""
    if isinstance(value, dict):
        return {str(name): _plain(child) for name, child in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value
