"""House rules that a linter does not know, over the syntax trees of the whole code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
APPS = ("alliantra", "partners", "revenues", "rules", "webhooks", "reports")
SOURCES = sorted(path for app in APPS for path in (TREE / app).rglob("*.py") if "migrations" not in path.parts)
HTTP = [path for path in SOURCES if "api" in path.parts or "urls" in path.parts]
SERVICES = [path for path in SOURCES if path.stem == "services" or "services" in path.parent.parts]
EXACT = [
    path
    for path in SOURCES
    if path.name in {"money.py", "reading.py", "conversion.py", "counting.py"}
    or ("engine" in path.parts and "rules" in path.parts)
    or "ingestion" in path.parts
]


def named(paths: list[Path]) -> list[str]:
    """Test ids."""
    return [str(path.relative_to(TREE)) for path in paths]


def nodes(path: Path) -> Iterator[ast.AST]:
    """Every node of a module."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", HTTP, ids=named(HTTP))
def test_http_code_touches_no_manager(path: Path) -> None:
    touched = [node.lineno for node in nodes(path) if isinstance(node, ast.Attribute) and node.attr == "objects"]
    assert not touched, f"{path}: .objects in lines {touched}; the view's queryset starts at the workspace"


@pytest.mark.parametrize("path", EXACT, ids=named(EXACT))
def test_exact_modules_know_no_float(path: Path) -> None:
    floats = [
        node.lineno
        for node in nodes(path)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
    ]
    assert not floats, f"{path}: float in lines {floats}"


def public_functions(path: Path) -> list[ast.FunctionDef]:
    """Functions that other modules may call."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in module.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


READS = {"validate_row", "find_api_key", "find_workspace", "note_api_key_use", "foresee_file"}
IDENTITY = {"create_workspace", "create_user"}
"""Made before there is an actor."""


@pytest.mark.parametrize("path", SERVICES, ids=named(SERVICES))
def test_services_take_an_actor_by_keyword(path: Path) -> None:
    for function in public_functions(path):
        if function.name in READS | IDENTITY or function.name.startswith("ensure_"):
            continue
        keywords = {argument.arg for argument in function.args.kwonlyargs}
        assert "actor" in keywords, f"{path.relative_to(TREE)}: {function.name} takes no actor"
        assert len(function.args.args) <= 1, f"{path.relative_to(TREE)}: {function.name} takes more than one by place"


@pytest.mark.parametrize("path", SOURCES, ids=named(SOURCES))
def test_no_function_is_longer_than_fifty_lines(path: Path) -> None:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 50, f"{path.relative_to(TREE)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=named(SOURCES))
def test_no_file_is_longer_than_four_hundred_lines(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= 400


def test_no_module_is_named_for_nothing() -> None:
    vague = {"utils", "helpers", "common", "manager", "handler", "data", "info", "misc"}
    assert not [path for path in SOURCES if path.stem in vague]


def test_no_index_address_stands_in_the_locks() -> None:
    for path in (TREE / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert "--hash=sha256:" in text
