"""No float in any module that computes money: the syntax trees say so."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    ROOT / "alliantra/money.py",
    *sorted((ROOT / "rules/engine").glob("*.py")),
    *(
        ROOT / "rules" / name
        for name in ("allocations.py", "calculation.py", "compilation.py", "ledger.py", "results.py")
    ),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_float_enters(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float | complex)), ast.unparse(node)
        assert not (isinstance(node, ast.Name) and node.id == "float"), f"line {node.lineno}"
        assert not isinstance(node, ast.Div), "true division makes floats of integers"
